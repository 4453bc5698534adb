"""Memory of jobrec's processes and servers over time, while a benchmark loads them."""

import statistics
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import psutil

MIN_BASE = 50 * 1024**2  # bytes; a smaller process may grow by a share that means nothing


class ProcessMemory:
    """Samples of the private memory of every process that this one, or a child of it, had started."""

    def __init__(self) -> None:
        self._roots = psutil.Process().children()
        self._samples: dict[tuple[int, str], list[int]] = defaultdict(list)
        self._first: set[tuple[int, str]] = set()
        self._last: set[tuple[int, str]] = set()

    @contextmanager
    def sampled(self, *, every: float = 1.0) -> Iterator[None]:
        """Take a sample each `every` seconds while the block runs, in a thread of its own."""
        ending = Event()

        def sample_until_ended() -> None:
            while not ending.wait(every):
                self._sample()

        with ThreadPoolExecutor(1) as pool:
            sampling = pool.submit(sample_until_ended)
            try:
                yield
            finally:
                ending.set()
            sampling.result()

    def _sample(self) -> None:
        self._last = set()
        for process in [each for root in self._roots for each in (root, *root.children(recursive=True))]:
            try:
                name, used = _name(process), process.memory_info()
            except psutil.Error:
                continue  # it has just ended
            private = used.rss - getattr(used, "shared", 0)  # some systems do not report shared memory
            self._samples[process.pid, name].append(private)
            self._last.add((process.pid, name))
        self._first = self._first or self._last

    def ended(self) -> list[str]:
        """Names of processes of the first sample that the last one lacks, but for PostgreSQL's
        connections."""
        return [name for _, name in self._first - self._last if name != "postgres"]

    def growth(self) -> dict[str, float]:
        """Growth from the first to the last fifth, by name: the largest of those that lived all the time.

        A share of what the process used first, by medians. The first quarter, in which caches fill, is left
        out.
        """
        count = max(len(values) for values in self._samples.values())
        warm = count // 4
        fifth = max((count - warm) // 5, 1)
        growth: dict[str, float] = defaultdict(lambda: -1.0)
        for (_, name), values in self._samples.items():
            if len(values) == count:
                first = statistics.median(values[warm : warm + fifth])
                last = statistics.median(values[-fifth:])
                growth[name] = max(growth[name], (last - first) / max(first, MIN_BASE))
        return growth


def _name(process: psutil.Process) -> str:
    """The last argument of a program of jobrec: embedding_server, or embed for a worker."""
    if process.name().startswith("postgres"):
        return "postgres"
    arguments = [each for each in process.cmdline() if each and "=" not in each]
    return Path(arguments[-1]).name[:30] if arguments else process.name()
