"""Work in small parts with rests, for what shares its cores with those who serve."""

import time
from collections.abc import Iterator


def parts(count: int, size: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of each part of `count` things; between two parts rests for as long as the one before took."""
    took = 0.0
    for start in range(0, count, max(size, 1)):
        time.sleep(took)
        began = time.perf_counter()
        yield start, min(start + size, count)
        took = time.perf_counter() - began
