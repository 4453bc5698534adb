"""Many minutes of half the load that the server can bear, while postings are edited and embedded anew, without a pause.

No answer may fail, the memory of no process may grow on, and the 95th percentile stays near that of the same load
while nothing is embedded. The requests are recommendations for several profiles: hits until an invalidation, then not.
Each run embeds one slice of the corpus that was edited before. Memory is what a process has to itself, so neither its
program nor PostgreSQL's shared buffers; it is compared between the first and the last fifth of the time, by medians.
"""

import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil

from bench import corpus, load, report, scratch, serve

if TYPE_CHECKING:
    from jobrec_site.local.supervision import Supervisor

CONNECTIONS = 4
PROFILES = 20
EDITED, EDITED_QUICK = 1_000, 100  # postings of a run
PROCESSES = ("sidecar", "embedding-server", "embed-worker", "write-worker", "web")


def main() -> None:
    parser = corpus.arguments(__doc__)
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="how long the load lasts (quick: 15 seconds)"
    )
    options = parser.parse_args()
    seconds = 15.0 if options.quick else 60 * options.minutes
    result = report.start("Soak")
    with (
        corpus.servers(result, options, RATE_LIMIT_ANONYMOUS="") as data,
        serve.processes(data, *PROCESSES) as running,
    ):
        serve.answer_of(running.web, serve.asking(serve.TEXT))
        embedding = Reembedding(running.supervisor, rows=EDITED_QUICK if options.quick else EDITED)
        soak(result, running.web, embedding, seconds=seconds, warm_up=2.0 if options.quick else 5.0)
    report.end(result)


def soak(
    result: report.Report, port: int, embedding: "Reembedding", *, seconds: float, warm_up: float
) -> None:
    requests = [load.post("/graphql", serve.asking(f"{serve.TEXT} {number}")) for number in range(PROFILES)]
    embedding.one()  # the workers are warm
    load.run(port, requests, seconds=warm_up, connections=CONNECTIONS)  # and the caches are
    capacity = load.run(port, requests, seconds=warm_up, connections=CONNECTIONS).rate
    idle = load.run(port, requests, seconds=seconds / 4, connections=CONNECTIONS, rate=capacity / 2)
    with ThreadPoolExecutor(1) as pool:
        going_on = pool.submit(embedding.until_ended)
        try:
            with Memory().watched() as memory:
                busy = load.run(port, requests, seconds=seconds, connections=CONNECTIONS, rate=capacity / 2)
        finally:
            embedding.ending.set()
        runs = going_on.result()
    p95 = {name: report.percentile(each.latencies, 0.95) for name, each in (("idle", idle), ("busy", busy))}
    result.figure(
        f"{busy.answers:,} answers at {busy.rate:,.0f}/s of {capacity:,.0f}/s; {runs.count} runs of {embedding.rows:,} "
        f"postings, one going on {runs.share:.0%} of the time; p95 idle {1000 * p95['idle']:.1f} ms, "
        f"busy {1000 * p95['busy']:.1f} ms"
    )
    result.figure("memory, from the first fifth to the last: " + memory.table())
    result.at_least("soak_runs", runs.count, 1)
    result.at_most("soak_failed_answers", idle.failed + busy.failed, 0)
    result.at_most("soak_memory_growth", memory.largest_growth(), 0.10)
    result.at_most("soak_p95_of_idle", p95["busy"] / p95["idle"], 2.0)


@dataclass(frozen=True)
class Runs:
    """`share`: of the time, in which a run was going on."""

    count: int
    share: float


class Reembedding:
    """Edits one slice of the postings after the other and embeds it, from the first again after the last."""

    def __init__(self, supervisor: "Supervisor", *, rows: int) -> None:
        from apps.postings.models import Posting

        self.ending, self.rows, self._supervisor = Event(), rows, supervisor
        ids = list(Posting.objects.order_by("pk").values_list("pk", flat=True))
        self._slices = cycle(ids[start : start + rows] for start in range(0, len(ids), rows))

    def one(self) -> float:
        """Seconds of the run; returns when it is complete and the caches have heard of it."""
        from django.db import connection

        from apps.embeddings.registry import default_model

        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE postings_posting SET title = left(title, 400) || '.' WHERE id = ANY (%s)",
                [next(self._slices)],
            )
        started = time.perf_counter()
        scratch.embed("posting", default_model(), self._supervisor)
        return time.perf_counter() - started

    def until_ended(self) -> Runs:
        """One run after the other until `ending` is set; the last one is finished."""
        from django.db import connection

        started, seconds = time.perf_counter(), []
        try:
            while not self.ending.is_set():
                seconds.append(self.one())
        finally:
            connection.close()
        return Runs(len(seconds), sum(seconds) / (time.perf_counter() - started))


class Memory:
    """Memory of all processes that this one has started, over time."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, str], list[int]] = {}
        self._ending = Event()

    @contextmanager
    def watched(self, every: float = 1.0) -> Iterator["Memory"]:
        """Looks at them `every` so many seconds."""

        def look() -> None:
            while not self._ending.wait(every):
                self._look()

        looking = Thread(target=look)
        looking.start()
        try:
            yield self
        finally:
            self._ending.set()
            looking.join()

    def _look(self) -> None:
        for process in psutil.Process().children(recursive=True):
            try:
                line, used = process.cmdline(), process.memory_info()
            except psutil.Error:
                continue  # ended meanwhile
            name = next((word for word in reversed(line) if "=" not in word), process.name())
            own = used.rss - getattr(used, "shared", 0)  # not all systems tell the two apart
            self._seen.setdefault((process.pid, Path(name).name), []).append(own)

    def growths(self) -> dict[str, float]:
        """As a share, of each process that lived all the time."""
        longest = max(len(values) for values in self._seen.values())
        fifth = max(longest // 5, 1)
        return {
            f"{name} {pid}": statistics.median(values[-fifth:]) / statistics.median(values[:fifth]) - 1
            for (pid, name), values in self._seen.items()
            if len(values) == longest
        }

    def largest_growth(self) -> float:
        return max(self.growths().values())

    def table(self) -> str:
        return ", ".join(f"{name} {100 * share:+.1f} %" for name, share in self.growths().items())


if __name__ == "__main__":
    main()
