"""Many minutes of half the load that the server can bear, while postings are edited and embedded anew, without a pause.

No answer may fail or be degraded, no process may end, the memory of none may grow on, and the 95th percentile stays near that of the same load
while nothing is embedded. The requests are what many ask alike: SEARCHES by words, with reasons. All processes run that
serve, with the settings that they have by default, but for EMBEDDING_CORES, which leaves the web half of the cores, and
EMBEDDING_IDLE, as the runbook advises where one machine does all. Each run embeds one slice of the corpus that was edited before, and
invalidates all answers at its end; one follows the other, where the schedule waits for REEMBED_EVERY in between. Memory is
what a process has to itself, so neither its program nor PostgreSQL's shared buffers. It is compared between the first and
the last fifth of the time, by medians, as a share of what it was, or of 50 MiB where it was less. Not counted is the first
quarter of the time, in which the caches fill; a load of less than two minutes is too short to judge growth or
percentiles by, and only prints them.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import corpus, load, report, scratch, serve, watching

if TYPE_CHECKING:
    from jobrec_site.local.supervision import Supervisor

CONNECTIONS = 16
SEARCHES = 20
QUERY = """query Search($text: String, $filter: PostingFilter) {
  searchPostings(text: $text, filter: $filter, first: 20) {
    totalCount degraded pageInfo { hasNextPage endCursor }
    edges {
      cursor score node { id title company { name } city country remote skills { name } salaryMin salaryMax publishedAt }
      explanation { vectorScore textScore skillCoverage matchedSkills { name } missingSkills { name } }
    }
  }
}"""
JUDGED_FROM = 120.0  # seconds of load
PROCESSES = ("sidecar", "embedding-server", "embed-worker", "write-worker", "web", "cache-warmer")


def main() -> None:
    parser = corpus.arguments(__doc__)
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="how long the load lasts (quick: 3 seconds)"
    )
    parser.add_argument(
        "--edited", type=int, help="postings of each run, instead of 2,000 (quick: 10); they stay edited"
    )
    parser.add_argument(
        "--without-idle", action="store_true", help="without EMBEDDING_IDLE: the embed worker is niced only"
    )
    options = parser.parse_args()
    from workers.encoding.hardware import usable_cores

    edited = options.edited or (10 if options.quick else 2_000)
    seconds = 3.0 if options.quick else 60 * options.minutes
    result = report.start("Soak")
    half = str(max(usable_cores() // 2, 1))
    with (
        corpus.servers(
            result,
            options,
            RATE_LIMIT_ANONYMOUS="",
            EMBEDDING_CORES=half,
            EMBEDDING_IDLE=str(not options.without_idle).lower(),
        ) as data,
        serve.processes(data, *PROCESSES) as running,
    ):
        embedding = Reembedding(running.supervisor, rows=edited)
        soak(result, running.web, embedding, seconds=seconds, warm_up=1.0 if options.quick else 5.0)
    report.end(result)


def soak(
    result: report.Report, port: int, embedding: "Reembedding", *, seconds: float, warm_up: float
) -> None:
    contents = searches()
    requests = [load.post("/graphql", content) for content in contents]
    embedding.one()  # warms the workers up, and the caches then hold nothing
    for content in contents:
        serve.answer_of(port, content)
    load.run(port, requests, seconds=warm_up, connections=CONNECTIONS)
    capacity = load.run(port, requests, seconds=warm_up, connections=CONNECTIONS).rate
    embedding.one(rows=10)  # warms the cache warmer up, which now knows what is asked
    for content in contents:
        serve.answer_of(port, content)
    watching.stolen()  # until now
    # Before and after, since a machine may be quicker now than then.
    before = load.run(port, requests, seconds=seconds / 8, connections=CONNECTIONS, rate=capacity / 2)
    stolen = [watching.stolen()]
    with ThreadPoolExecutor(1) as pool:
        going_on = pool.submit(embedding.until_ended)
        memory, surroundings = watching.Memory(), watching.Surroundings()
        try:
            with watching.repeated(memory.look), watching.repeated(surroundings.look):
                busy = load.run(port, requests, seconds=seconds, connections=CONNECTIONS, rate=capacity / 2)
        finally:
            embedding.ending.set()
        runs = going_on.result()
    for content in contents:
        serve.answer_of(port, content)
    watching.stolen()
    after = load.run(port, requests, seconds=seconds / 8, connections=CONNECTIONS, rate=capacity / 2)
    stolen.append(watching.stolen())
    result.figure(
        f"time that the host gave to others: {stolen[0]:.1f} % in the idle load before, {stolen[1]:.1f} % in the one after; "
        "in each tenth beside the runs: "
        + ", ".join(f"{each:.1f} %" for each in surroundings.stolen_by_tenth())
    )
    result.figure(f"seconds of autovacuum beside the runs: {surroundings.vacuums()}")
    _judge(result, busy, (before, after), capacity=capacity, runs=runs, edited=embedding.rows, memory=memory)


def _judge(
    result: report.Report,
    busy: load.Load,
    idle: tuple[load.Load, load.Load],
    *,
    capacity: float,
    runs: "Runs",
    edited: int,
    memory: watching.Memory,
) -> None:
    """`idle`: the same load while nothing is embedded, before and after."""
    idle_p95 = [report.percentile(each.latencies, 0.95) for each in idle]
    # The lower one: what disturbed the other would make the load beside the runs look good.
    p95 = {"idle": min(idle_p95), "busy": report.percentile(busy.latencies, 0.95)}
    result.figure(
        f"{busy.answers:,} answers at {busy.rate:,.0f}/s of {capacity:,.0f}/s; {runs.count} runs of {edited:,} "
        f"postings, one going on {runs.share:.0%} of the time; p95 idle {1000 * p95['idle']:.1f} ms "
        f"({', '.join(f'{1000 * each:.1f}' for each in idle_p95)}), "
        f"busy {1000 * p95['busy']:.1f} ms"
    )
    tenth = max(len(busy.latencies) // 10, 1)
    tenths = [busy.latencies[number * tenth :][:tenth] for number in range(10)]
    result.figure(
        "p95 in ms of each tenth of the answers: "
        + ", ".join(f"{1000 * report.percentile(each, 0.95):.1f}" for each in tenths)
    )
    result.figure("memory, from the first fifth to the last: " + memory.table())
    result.at_least("soak_runs", runs.count, 1)
    result.at_least("soak_rate_of_asked", busy.rate / (capacity / 2), 0.95)
    result.at_most("soak_processes_that_ended", len(ended := memory.ended()), 0)
    if ended:
        result.figure(f"ended: {', '.join(sorted(ended))}")
    result.at_most("soak_failed_answers", sum(each.failed for each in (*idle, busy)), 0)
    if busy.seconds >= JUDGED_FROM:
        result.at_most("soak_memory_growth", memory.largest_growth(), 0.10)
        result.at_most("soak_p95_of_idle", p95["busy"] / p95["idle"], 2.0)


def searches() -> list[dict[str, Any]]:
    """Requests with the titles of postings from all over the corpus as words."""
    from apps.postings.models import Posting

    titles = list(Posting.objects.order_by("title").values_list("title", flat=True).distinct())
    some = titles[:: max(len(titles) // SEARCHES, 1)][:SEARCHES]
    filters = {"openOnly": corpus.mostly_open()}
    return [{"query": QUERY, "variables": {"text": title, "filter": filters}} for title in some]


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
        self._ids = cycle(Posting.objects.order_by("pk").values_list("pk", flat=True))

    def one(self, rows: int | None = None) -> float:
        """Seconds of the run, over `rows` where told; returns when it is complete and the caches have heard of it."""
        from django.db import connection

        from apps.embeddings.registry import default_model

        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE postings_posting SET title = left(title, 400) || '.' WHERE id = ANY (%s)",
                [list(islice(self._ids, rows or self.rows))],
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


if __name__ == "__main__":
    main()
