"""Cost of an answer: cached, against a bare Django view; uncached, against its SQL and its embedding.

Cached: the real web server and a bare Django view of the same bytes, each one process, loaded in turns by the
same load generator. Uncached: each request has a text of its own, half of them a filter. The whole request
over HTTP is compared with the sum of its statements and its embedding call, which are measured in this
process with the same code. Each request is sent once to either, in turns, and neither caches for the other.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import corpus, load, report, scratch, web_client

if TYPE_CHECKING:
    from apps.postings.models import Posting

QUERY = """query Recommended($profile: ProfileInput!, $filter: PostingFilter, $first: Int) {
  recommendedPostingsForProfile(profile: $profile, filter: $filter, first: $first) {
    totalCount degraded pageInfo { hasNextPage endCursor }
    edges {
      cursor score
      node { id title company { name } city country remote skills { name } salaryMin salaryMax publishedAt }
      explanation { vectorScore skillOverlap skillCoverage
        matchedSkills { name } missingSkills { name } extraSkills { name } }
    }
  }
}"""
TEXT = "Backend engineer who knows Python, PostgreSQL and Kubernetes, six years"
RESUME_WORDS = 60  # of a résumé, in a request
WARM_UP = 10  # requests


def main() -> None:
    """Measure cached answers, then uncached ones."""
    options = corpus.arguments(__doc__).parse_args()
    result = report.start("Serving")
    with corpus.servers(result, options, RATE_LIMIT_ANONYMOUS="") as data:
        from django.conf import settings

        from jobrec_site.local.preflight import free_ports
        from jobrec_site.local.programs import Program, web_command

        file, bare_port = data / "body.json", free_ports().web
        command = [*web_command(bare_port, workers=1)[:-1], "bench.bare:application"]
        bare = Program("bare", command, environment={"BARE_BODY": str(file)})
        with scratch.processes(data, "web", "embedding-server", web_workers=1, more=[bare]) as supervisor:
            file.write_bytes(web_client.full_answer(settings.WEB_PORT, request_for(TEXT)))
            supervisor.run(["bare"])
            rounds, seconds = (3, 1) if options.quick else (5, 6)
            measure_cached(result, settings.WEB_PORT, bare_port, rounds=rounds, seconds=seconds)
            measure_uncached(result, requests(25 if options.quick else 300), port=settings.WEB_PORT)
    report.end(result)


def request_for(text: str, values: dict[str, Any] | None = None) -> dict[str, Any]:
    """A request for recommendations, with the filter `values`."""
    profile = {"text": text, "experienceYears": 6}
    wanted = {"openOnly": corpus.mostly_open()} | (values or {})
    return {"query": QUERY, "variables": {"profile": profile, "filter": wanted, "first": 20}}


def requests(count: int) -> list[dict[str, Any]]:
    """`count` requests with different texts, and WARM_UP more.

    The texts are titles and skills of postings from all over the corpus, every fourth the beginning of a
    résumé; every other request has a filter that suits the posting.
    """
    from apps.candidates.models import Candidate
    from apps.postings.models import Posting

    count += WARM_UP
    ids = Posting.objects.order_by("pk").values_list("pk", flat=True)
    step = max(ids.count() // (2 * count), 1)  # twice as many, since postings may share a title
    some = Posting.objects.filter(pk__in=list(ids[::step])).order_by("pk")
    texts = {f"{each.title}. {', '.join(each.skills_text.split(', ')[:5])}": each for each in some}
    resumes = list(Candidate.objects.order_by("pk").values_list("resume", flat=True))
    found: dict[str, dict[str, Any]] = {}
    for number, (text, posting) in enumerate(texts.items()):
        wanted = " ".join(resumes.pop().split()[:RESUME_WORDS]) if number % 4 == 3 and resumes else text
        found[wanted] = request_for(wanted, _filter(posting, number))
    if len(found) < count:
        raise SystemExit(f"The corpus has only {len(found)} different texts for {count} requests.")
    return list(found.values())[:count]


def _filter(posting: "Posting", number: int) -> dict[str, Any]:
    """Nothing for every other number, else one of four filters, by what the posting has."""
    if number % 2:
        return {}
    choices = (
        ("location", posting.city or posting.country),
        ("publishedSince", posting.published_at and posting.published_at.isoformat()),
        ("jobFamily", posting.job_family),
        ("remote", True),
    )
    name, value = choices[number // 2 % len(choices)]
    return {name: value} if value else {}


def measure_cached(result: report.Report, web: int, bare: int, *, rounds: int, seconds: float) -> None:
    """Load the ports `web` and `bare` in turns, and print the ratio of their rates."""
    content = request_for(TEXT)
    answers = [web_client.full_answer(port, content) for port in (web, bare)]
    if answers[0] != answers[1]:
        raise SystemExit("The two servers do not answer the same bytes.")
    request, ratios = load.post("/graphql", content), []
    for _ in range(rounds):
        loads = [load.run(port, [request], seconds=seconds) for port in (web, bare)]
        if failed := sum(each.failed for each in loads):
            raise SystemExit(f"{failed} answers failed.")
        ratios.append(loads[0].rate / loads[1].rate)
        result.figure(
            f"{len(answers[0]):,} bytes: "
            + "; ".join(
                f"{name} {each.rate:,.0f}/s, p95 {1000 * report.percentile(each.latencies, 0.95):.1f} ms"
                for name, each in zip(("cached", "bare"), loads, strict=True)
            )
        )
    result.figure(f"cached ÷ bare: {report.spread(ratios)}")
    result.at_least("cached_of_bare_view", sorted(ratios)[len(ratios) // 2], 0.5)


class Stopwatch:
    """Adds up the seconds spent in each named part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its calls counted as `part`."""

        def call(*arguments: Any, **options: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self.seconds[part] += time.perf_counter() - started

        return call


def measure_uncached(result: report.Report, contents: list[dict[str, Any]], *, port: int) -> None:
    """Send each request over HTTP and to this process, and print the ratio of the 95th percentiles."""
    from django.db import connection
    from django.test import Client

    from apps.caching import shared
    from apps.embeddings.client import embedding_server

    client, server, watch = Client(SERVER_NAME="localhost"), embedding_server(), Stopwatch()
    seconds: dict[str, list[float]] = defaultdict(list)

    def statement(execute: Any, *arguments: Any) -> Any:
        return watch.timed("SQL", execute)(*arguments)

    def over_http(content: dict[str, Any]) -> None:
        watch.timed("whole", web_client.full_answer)(port, content)

    def in_this_process(content: dict[str, Any]) -> None:
        response = client.post("/graphql", content, content_type="application/json")
        web_client.check_full(response.content, status=response.status_code)

    embed = watch.timed("embedding", server.call)
    with connection.execute_wrapper(statement), patch.object(server, "call", embed):
        for number, content in enumerate(contents):
            watch.seconds.clear()
            for send in (over_http, in_this_process)[:: 1 if number % 2 else -1]:
                shared.connection().flushdb()
                send(content)
            if number >= WARM_UP:
                parts = {**watch.seconds, "both": watch.seconds["SQL"] + watch.seconds["embedding"]}
                for name, value in parts.items():
                    seconds[name].append(value)
    result.figure(f"{len(seconds['whole'])} uncached requests")
    for name in ("whole", "SQL", "embedding"):
        result.figure(f"{name}: {report.percentiles(seconds[name])}")
    whole, part = (report.percentile(seconds[name], 0.95) for name in ("whole", "both"))
    result.at_most("cold_p95_of_sql_and_embedding", whole / part, 3.0)


if __name__ == "__main__":
    main()
