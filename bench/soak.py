"""Ten minutes at half the server's capacity while postings are edited and embedded without a pause.

No answer may fail or be degraded, no process may end, no process's memory may keep growing, and the 95th
percentile must stay near that of the same load while nothing is embedded. The requests are SEARCHES by text,
with explanations. All serving processes run with their default settings, except for EMBEDDING_CORES, which
leaves half of the cores to the web, and EMBEDDING_IDLE, as the runbook advises where one machine does all.
Each run embeds one slice of edited postings and invalidates all answers at its end. A load of less than two
minutes is too short to judge memory and percentiles by.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import corpus, load, report, scratch, web_client
from bench.memory import ProcessMemory

if TYPE_CHECKING:
    from jobrec_site.local.supervision import Supervisor

CONNECTIONS = 16
SEARCHES = 20
QUERY = """query Search($text: String, $filter: PostingFilter) {
  searchPostings(text: $text, filter: $filter, first: 20) {
    totalCount degraded pageInfo { hasNextPage endCursor }
    edges {
      cursor score
      node { id title company { name } city country remote skills { name } salaryMin salaryMax publishedAt }
      explanation { vectorScore textScore skillCoverage matchedSkills { name } missingSkills { name } }
    }
  }
}"""
MIN_JUDGED = 120.0  # seconds of load
PROCESSES = ("sidecar", "embedding-server", "embed-worker", "write-worker", "web", "cache-warmer")


def main() -> None:
    """Run the load and judge it."""
    parser = corpus.arguments(__doc__)
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="how long the load lasts (quick: 3 seconds)"
    )
    parser.add_argument("--edited", type=int, default=2_000, help="postings of each run (quick: 10)")
    options = parser.parse_args()
    from workers.encoding.hardware import usable_cores

    seconds, warm_up, rows = (3.0, 1.0, 10) if options.quick else (60 * options.minutes, 5.0, options.edited)
    result = report.start("Soak")
    settings = {
        "RATE_LIMIT_ANONYMOUS": "",
        "EMBEDDING_CORES": str(max(usable_cores() // 2, 1)),
        "EMBEDDING_IDLE": "true",
    }
    with (
        corpus.servers(result, options, **settings) as data,
        scratch.processes(data, *PROCESSES, web_workers=1) as supervisor,
    ):
        soak(result, Reembedding(supervisor, rows=rows), seconds=seconds, warm_up=warm_up)
    report.end(result)


def soak(result: report.Report, embedding: "Reembedding", *, seconds: float, warm_up: float) -> None:
    """Measure the capacity, then the load alone, next to runs, and alone again."""
    from django.conf import settings

    contents, port = searches(), settings.WEB_PORT
    requests = [load.post("/graphql", content) for content in contents]

    def fill_cache() -> None:
        for content in contents:
            web_client.full_answer(port, content)

    def load_for(duration: float, *, rate: float = 0.0) -> load.Load:
        return load.run(port, requests, seconds=duration, connections=CONNECTIONS, rate=rate)

    embedding.run_once()  # starts the workers, and empties the cache
    fill_cache()
    load_for(warm_up)
    capacity = load_for(warm_up).rate
    embedding.run_once(rows=10)  # starts the cache warmer, which now knows the popular requests
    fill_cache()
    # Before and after, since a machine may be faster now than then.
    before = load_for(seconds / 8, rate=capacity / 2)
    memory = ProcessMemory()
    psutil.cpu_times_percent()  # the next call tells the time from here
    with ThreadPoolExecutor(1) as pool:
        embedded = pool.submit(embedding.run_until_ended)
        try:
            with memory.sampled():
                busy = load_for(seconds, rate=capacity / 2)
        finally:
            embedding.ending.set()
        runs = embedded.result()
    stolen = getattr(psutil.cpu_times_percent(), "steal", 0.0)
    fill_cache()
    after = load_for(seconds / 8, rate=capacity / 2)
    result.figure(f"processor time that the host gave to other machines: {stolen:.1f} %")
    result.figure(f"{runs} runs of {embedding.rows:,} postings each")
    result.at_least("soak_runs", runs, 1)
    judge(result, busy, idle=(before, after), capacity=capacity, memory=memory)


def judge(
    result: report.Report,
    busy: load.Load,
    *,
    idle: tuple[load.Load, load.Load],
    capacity: float,
    memory: ProcessMemory,
) -> None:
    """Print the figures and targets. `idle`: the same load while nothing is embedded, before and after."""
    idle_p95 = [report.percentile(each.latencies, 0.95) for each in idle]
    busy_p95 = report.percentile(busy.latencies, 0.95)
    result.figure(
        f"{busy.answers:,} answers at {busy.rate:,.0f}/s of {capacity:,.0f}/s; p95 idle "
        f"{', '.join(f'{1000 * each:.1f}' for each in idle_p95)} ms, busy {1000 * busy_p95:.1f} ms"
    )
    growth = memory.growth()
    result.figure(
        "growth of memory, from the first fifth to the last: "
        + ", ".join(f"{name} {100 * share:+.1f} %" for name, share in sorted(growth.items()))
    )
    if ended := memory.ended():
        result.figure(f"ended: {', '.join(sorted(ended))}")
    result.at_least("soak_rate_of_asked", busy.rate / (capacity / 2), 0.95)
    result.at_most("soak_processes_that_ended", len(ended), 0)
    result.at_most("soak_failed_answers", sum(each.failed for each in (*idle, busy)), 0)
    if busy.seconds >= MIN_JUDGED:
        result.at_most("soak_memory_growth", max(growth.values()), 0.10)
        # The lower one: a disturbance of the other would flatter the load next to the runs.
        result.at_most("soak_p95_of_idle", busy_p95 / min(idle_p95), 2.0)


def searches() -> list[dict[str, Any]]:
    """Requests whose texts are the titles of postings from all over the corpus."""
    from apps.postings.models import Posting

    titles = list(Posting.objects.order_by("title").values_list("title", flat=True).distinct())
    some = titles[:: max(len(titles) // SEARCHES, 1)][:SEARCHES]
    filters = {"openOnly": corpus.mostly_open()}
    return [{"query": QUERY, "variables": {"text": title, "filter": filters}} for title in some]


class Reembedding:
    """Edits one slice of the postings after the other and embeds it, from the first again after the last."""

    def __init__(self, supervisor: "Supervisor", *, rows: int) -> None:
        from apps.postings.models import Posting

        self.ending, self.rows, self._supervisor = Event(), rows, supervisor
        self._ids = cycle(Posting.objects.order_by("pk").values_list("pk", flat=True))

    def run_once(self, rows: int | None = None) -> None:
        """Edit and embed one slice; return once the caches have acknowledged the run."""
        from django.db import connection

        from apps.embeddings.registry import default_model

        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE postings_posting SET title = left(title, 400) || '.' WHERE id = ANY (%s)",
                [list(islice(self._ids, rows or self.rows))],
            )
        scratch.embed("posting", default_model(), self._supervisor)

    def run_until_ended(self) -> int:
        """Start one run after the other until `ending` is set, and finish the last one; return their
        number."""
        from django.db import connection

        runs = 0
        try:
            while not self.ending.is_set():
                self.run_once()
                runs += 1
        finally:
            connection.close()
        return runs


if __name__ == "__main__":
    main()
