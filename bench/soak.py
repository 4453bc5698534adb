"""Many minutes of half the load that the server can bear, while the corpus is embedded anew.

No answer may fail, the memory of no process may grow on, and the 95th percentile stays near that of the same load
while nothing is embedded. The requests are recommendations for several profiles: hits until an invalidation, then not.
"""

import sys
import time
from pathlib import Path
from threading import Thread

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil

from bench import load, report, scratch, serve

CONNECTIONS = 4
PROFILES = 20


def main() -> None:
    parser = report.arguments(__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the load lasts")
    options = parser.parse_args()
    seconds = 30.0 if options.quick else 60 * options.minutes
    result = report.start("Soak")
    names = ("sidecar", "embedding-server", "embed-worker", "write-worker", "web")
    with scratch.servers(None, **scratch.free_addresses(), RATE_LIMIT_ANONYMOUS="") as data:
        serve.fill(data, postings=200 if options.quick else 5_000)
        with serve.processes(data, *names) as (port, _):
            serve.answer_of(port, serve.asking(serve.TEXT))
            soak(result, port, seconds=seconds)
    report.end(result)


def soak(result: report.Report, port: int, *, seconds: float) -> None:
    requests = [load.post("/graphql", serve.asking(f"{serve.TEXT} {number}")) for number in range(PROFILES)]
    load.run(port, requests, seconds=5, connections=CONNECTIONS)  # fills the caches
    capacity = load.run(port, requests, seconds=5, connections=CONNECTIONS).rate
    idle = load.run(port, requests, seconds=seconds / 4, connections=CONNECTIONS, rate=capacity / 2)
    embedding = Reembedding()
    embedding.start()
    memory = Memory()
    busy = _soaked(port, requests, seconds, capacity / 2, memory)
    embedding.end()
    p95 = {name: report.percentile(each.latencies, 0.95) for name, each in (("idle", idle), ("busy", busy))}
    result.figure(
        f"{busy.answers:,} answers at {busy.rate:,.0f}/s of {capacity:,.0f}/s, {embedding.runs} runs; p95 idle "
        f"{1000 * p95['idle']:.1f} ms, busy {1000 * p95['busy']:.1f} ms"
    )
    result.figure("memory, from the middle to the end: " + memory.table())
    result.at_least("soak_runs", embedding.runs, 1)
    result.at_most("soak_failed_answers", busy.failed, 0)
    result.at_most("soak_memory_growth", memory.largest_growth(), 0.10)
    result.at_most("soak_p95_of_idle", p95["busy"] / p95["idle"], 2.0)


def _soaked(port: int, requests: list[bytes], seconds: float, rate: float, memory: "Memory") -> load.Load:
    """The load in slices, with a look at the memory of all processes between two of them."""
    until = time.monotonic() + seconds
    slices = []
    while time.monotonic() < until:
        slices.append(
            load.run(port, requests, seconds=max(seconds / 20, 2), connections=CONNECTIONS, rate=rate)
        )
        memory.look()
    return load.together(slices)


class Reembedding(Thread):
    """Edits all postings and embeds them, over and over."""

    def __init__(self) -> None:
        super().__init__()
        self.runs = 0
        self._ending = False

    def run(self) -> None:
        from django.db import connection

        while not self._ending:
            with connection.cursor() as cursor:
                cursor.execute("UPDATE postings_posting SET title = left(title, 400) || '.'")
            scratch.manage("embed", "--kind=posting", "--wait", "--timeout=900")
            self.runs += 1
        connection.close()

    def end(self) -> None:
        """Lets the last run finish."""
        self._ending = True
        self.join()


class Memory:
    """Resident memory of jobrec's processes, over time."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, str], list[int]] = {}

    def look(self) -> None:
        for process in psutil.Process().children(recursive=True):
            try:
                line = process.cmdline()
                name = next((word for word in reversed(line) if "=" not in word), process.name())
                self._seen.setdefault((process.pid, name), []).append(process.memory_info().rss)
            except psutil.Error:
                continue  # ended meanwhile

    def growths(self) -> dict[str, float]:
        """From the middle to the end, as a share, of each process that lived through both."""
        longest = max(len(values) for values in self._seen.values())
        return {
            f"{name} {pid}": max(values[-3:]) / max(values[longest // 2 - 1 : longest // 2 + 2]) - 1
            for (pid, name), values in self._seen.items()
            if len(values) == longest
        }

    def largest_growth(self) -> float:
        return max(self.growths().values())

    def table(self) -> str:
        return ", ".join(f"{Path(name).name} {100 * share:+.1f} %" for name, share in self.growths().items())


if __name__ == "__main__":
    main()
