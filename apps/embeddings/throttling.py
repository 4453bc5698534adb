"""Throttled work: pauses for processes that share their cores with the web tier."""

import time
from collections.abc import Iterator


def throttled_slices(count: int, size: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of each slice of `size` out of `count` items, with pauses in between.

    The pause after a slice lasts as long as the caller worked on the slice, so that the work takes half of
    the time.
    """
    seconds = 0.0
    for start in range(0, count, max(size, 1)):
        time.sleep(seconds)
        started = time.perf_counter()
        yield start, min(start + size, count)
        seconds = time.perf_counter() - started
