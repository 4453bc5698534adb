"""What a benchmark watches beside its load: memory of the processes, vacuums, and what the host gives to others."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import psutil

LEAST = 50 * 1024**2  # octets; a process of less may grow by a share that says nothing


def stolen() -> float:
    """Percent of all processors' time since the last call that the host of a virtual machine gave to others."""
    return float(getattr(psutil.cpu_times_percent(), "steal", 0.0))  # Linux tells


@contextmanager
def repeated(look: Callable[[], None], every: float = 1.0) -> Iterator[None]:
    """Calls `look` in a thread of its own, `every` so many seconds."""
    from django.db import connection

    ending = Event()

    def go_on() -> None:
        try:
            while not ending.wait(every):
                look()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(go_on)
        try:
            yield
        finally:
            ending.set()
        looking.result()


class Surroundings:
    """What else wants the processors: the host's other guests, and the vacuums that PostgreSQL starts by itself."""

    def __init__(self) -> None:
        self._stolen: list[float] = []
        self._vacuums: Counter[str] = Counter()

    def look(self) -> None:
        """To be called once a second."""
        from django.db import connection

        self._stolen.append(stolen())
        with connection.cursor() as cursor:
            cursor.execute("SELECT relid::regclass::text FROM pg_stat_progress_vacuum")
            self._vacuums.update(table for (table,) in cursor.fetchall())

    def stolen_by_tenth(self) -> list[float]:
        """Percent."""
        tenth = max(len(self._stolen) // 10, 1)
        return [
            statistics.fmean(self._stolen[start:][:tenth])
            for start in range(0, min(10 * tenth, len(self._stolen)), tenth)
        ]

    def vacuums(self) -> str:
        """About how many seconds each table was being vacuumed."""
        return ", ".join(f"{name} {seconds}" for name, seconds in self._vacuums.most_common()) or "none"


class Memory:
    """Memory of the servers and of jobrec's processes, over time: of all that this process had started before."""

    def __init__(self) -> None:
        self._roots = psutil.Process().children()
        self._seen: dict[tuple[int, str], list[int]] = defaultdict(list)
        self._first: set[tuple[int, str]] = set()
        self._last: set[tuple[int, str]] = set()

    def look(self) -> None:
        self._last = set()
        for process in [each for root in self._roots for each in (root, *root.children(recursive=True))]:
            try:
                name, used = _name(process), process.memory_info()
            except psutil.Error:
                continue  # ended meanwhile
            own = used.rss - getattr(used, "shared", 0)  # not all systems tell the two apart
            self._seen[process.pid, name].append(own)
            self._last.add((process.pid, name))
        self._first = self._first or self._last

    def ended(self) -> list[str]:
        """Names of those that were there at first and not at last, but for PostgreSQL's, one for each connection."""
        return [name for _, name in self._first - self._last if name != "postgres"]

    def growths(self) -> dict[str, float]:
        """By name, the largest of those processes that lived all the time."""
        longest = max(len(values) for values in self._seen.values())
        warm = longest // 4
        fifth = max((longest - warm) // 5, 1)
        found: dict[str, float] = defaultdict(lambda: -1.0)
        for (_, name), values in self._seen.items():
            if len(values) == longest:
                first, last = (
                    statistics.median(values[warm : warm + fifth]),
                    statistics.median(values[-fifth:]),
                )
                found[name] = max(found[name], (last - first) / max(first, LEAST))
        return found

    def largest_growth(self) -> float:
        return max(self.growths().values())

    def table(self) -> str:
        return ", ".join(f"{name} {100 * share:+.1f} %" for name, share in sorted(self.growths().items()))


def _name(process: psutil.Process) -> str:
    """Of a program of jobrec its last argument: embedding_server, or embed for a worker."""
    if process.name().startswith("postgres"):
        return "postgres"
    words = [word for word in process.cmdline() if word and "=" not in word]
    return Path(words[-1]).name[:30] if words else process.name()
