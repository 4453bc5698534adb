"""How much a cached recommendation costs beside a bare Django view, and an uncached one beside its SQL and embedding.

Hits: the real web server and a bare Django view of the same bytes, each one granian process, asked in turns by the
same load generator. Cold: each request with a text of its own, of all professions that the corpus holds, so that no
cache answers; half of them with a filter. The whole request to the real web server, over HTTP, against the sum of its
statements and its embedding call, which are measured in this process with the same code. Each question is asked once
of either, in turns, and the answers of the one are no answers to the other.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import corpus, load, report

if TYPE_CHECKING:
    from apps.postings.models import Posting
    from jobrec_site.local.supervision import Supervisor

QUERY = """query Recommended($profile: ProfileInput!, $filter: PostingFilter, $first: Int) {
  recommendedPostingsForProfile(profile: $profile, filter: $filter, first: $first) {
    totalCount degraded pageInfo { hasNextPage endCursor }
    edges {
      cursor score node { id title company { name } city country remote skills { name } salaryMin salaryMax publishedAt }
      explanation { vectorScore skillOverlap skillCoverage
        matchedSkills { name } missingSkills { name } extraSkills { name } }
    }
  }
}"""
TEXT = "Backend engineer who knows Python, PostgreSQL and Kubernetes, six years"


WORDS = 60  # of a résumé, in a question
WARM_UP = 10  # questions


@dataclass(frozen=True)
class Running:
    """Where the servers listen, and who looks after all processes."""

    web: int
    bare: int
    supervisor: "Supervisor"


def asking(text: str, values: dict[str, Any] | None = None) -> dict[str, Any]:
    """A request for recommendations, with a filter or without."""
    profile = {"text": text, "experienceYears": 6}
    wanted = {"openOnly": corpus.mostly_open()} | (values or {})
    return {"query": QUERY, "variables": {"profile": profile, "filter": wanted, "first": 20}}


def main() -> None:
    options = corpus.arguments(__doc__).parse_args()
    result = report.start("Serving")
    with corpus.servers(result, options, RATE_LIMIT_ANONYMOUS="") as data:
        body = data / "body.json"
        with processes(data, "web", "embedding-server", body=body) as running:
            measure_hits(
                result, running, body, rounds=3 if options.quick else 5, seconds=1 if options.quick else 6
            )
            measure_cold(result, questions(25 if options.quick else 300), port=running.web)
    report.end(result)


def questions(count: int) -> list[dict[str, Any]]:
    """So many requests of different texts, and WARM_UP more: postings from all over the corpus by title and skills,
    each fourth the beginning of a résumé; every other one with a filter that suits the posting.
    """
    from apps.candidates.models import Candidate
    from apps.postings.models import Posting

    count += WARM_UP
    ids = Posting.objects.order_by("pk").values_list("pk", flat=True)
    step = max(ids.count() // (2 * count), 1)  # twice as many: postings may be called alike
    some = Posting.objects.filter(pk__in=list(ids[::step])).order_by("pk")
    texts = {f"{each.title}. {', '.join(each.skills_text.split(', ')[:5])}": each for each in some}
    resumes = list(Candidate.objects.order_by("pk").values_list("resume", flat=True))
    asked: dict[str, dict[str, Any]] = {}
    for number, (text, posting) in enumerate(texts.items()):
        question = " ".join(resumes.pop().split()[:WORDS]) if number % 4 == 3 and resumes else text
        asked[question] = asking(question, _filter(posting, number))
    if len(asked) < count:
        raise SystemExit(f"the corpus has only {len(asked)} different texts for {count} questions")
    return list(asked.values())[:count]


def _filter(posting: "Posting", number: int) -> dict[str, Any]:
    """Nothing for every other number, else one of four filters, by what the posting has."""
    if number % 2:
        return {}
    named = (
        ("location", posting.city or posting.country),
        ("publishedSince", posting.published_at and posting.published_at.isoformat()),
        ("jobFamily", posting.job_family),
        ("remote", True),
    )
    name, value = named[number // 2 % len(named)]
    return {name: value} if value else {}


@contextmanager
def processes(data: Path, *names: str, body: Path | None = None) -> Iterator[Running]:
    """Runs processes by name, `web` and `bare` with one worker each."""
    from django.conf import settings

    from apps.rpc.client import is_serving
    from jobrec_site.local.preflight import free_ports
    from jobrec_site.local.programs import Ports, Program, application, web_command
    from jobrec_site.local.supervision import Supervisor

    bare_port = free_ports().web
    command = web_command(bare_port, workers=1)
    bare = Program("bare", [*command[:-1], "bench.bare:application"], environment={"BARE_BODY": str(body)})
    supervisor = Supervisor(data, [*application(Ports(web=settings.WEB_PORT), web_workers=1), bare])
    supervisor.start()
    try:
        supervisor.run(names)
        for name, address in (
            ("embedding-server", settings.EMBEDDING_ADDRESS),
            ("sidecar", settings.INVALIDATION_BIND),
        ):
            while name in names and not is_serving(address):
                time.sleep(0.1)
        yield Running(settings.WEB_PORT, bare_port, supervisor)
    finally:
        supervisor.stop()


def measure_hits(result: report.Report, running: Running, body: Path, *, rounds: int, seconds: float) -> None:
    """`body`: the file that the bare view answers with."""
    request = load.post("/graphql", asking(TEXT))
    body.write_bytes(answer_of(running.web, asking(TEXT)))
    running.supervisor.run(["bare"])
    if answer_of(running.web, asking(TEXT)) != answer_of(running.bare, asking(TEXT)):
        raise SystemExit("the two servers do not answer the same bytes")
    ratios = []
    for _ in range(rounds):
        hit = load.run(running.web, [request], seconds=seconds)
        bare = load.run(running.bare, [request], seconds=seconds)
        if hit.failed or bare.failed:
            raise SystemExit(f"{hit.failed} + {bare.failed} answers were no answers")
        ratios.append(hit.rate / bare.rate)
        result.figure(
            f"{body.stat().st_size:,} octets: cached {hit.rate:,.0f}/s, p95 "
            f"{1000 * report.percentile(hit.latencies, 0.95):.1f} ms; bare {bare.rate:,.0f}/s, p95 "
            f"{1000 * report.percentile(bare.latencies, 0.95):.1f} ms"
        )
    result.figure(f"cached ÷ bare: {report.spread(ratios)}")
    result.at_least("cached_of_bare_view", sorted(ratios)[len(ratios) // 2], 0.5)


def answer_of(port: int, content: dict[str, Any]) -> bytes:
    """The answer, once the server is up; its body, which must hold no error."""
    import json
    import urllib.error
    import urllib.request

    until = time.monotonic() + 60
    while True:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/graphql",
            json.dumps(content).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                body: bytes = response.read()
        except urllib.error.HTTPError as error:
            raise SystemExit(f"not a full answer: {error.code} {error.read()[:300]!r}") from error
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
        else:
            _must_be_full(body)
            return body


def measure_cold(result: report.Report, asked: list[dict[str, Any]], *, port: int) -> None:
    from django.db import connection
    from django.test import Client

    from apps.caching import shared
    from apps.embeddings.client import embedding_server

    spent: dict[str, float] = {}
    seconds: dict[str, list[float]] = defaultdict(list)

    def timed(part: str, function: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent[part] += time.perf_counter() - started

        return call

    def statement(execute: Any, sql: Any, parameters: Any, many: bool, context: Any) -> Any:
        return timed("SQL", execute)(sql, parameters, many, context)

    def over_http(content: dict[str, Any]) -> None:
        timed("whole", answer_of)(port, content)

    def in_this_process(content: dict[str, Any]) -> None:
        response = reader.post("/graphql", content, content_type="application/json")
        _must_be_full(response.content, status=response.status_code)

    reader, server = Client(SERVER_NAME="localhost"), embedding_server()
    with (
        connection.execute_wrapper(statement),
        patch.object(server, "call", timed("embedding", server.call)),
    ):
        for number, content in enumerate(asked):
            spent |= {"SQL": 0.0, "embedding": 0.0, "whole": 0.0}
            for ask in (over_http, in_this_process)[:: 1 if number % 2 else -1]:
                shared.connection().flushdb()
                ask(content)
            if number < WARM_UP:
                continue
            both = spent["SQL"] + spent["embedding"]
            for name, value in (spent | {"SQL and embedding": both}).items():
                seconds[name].append(value)
            filtered = len(content["variables"]["filter"]) > 1  # openOnly is always there
            seconds["filtered" if filtered else "unfiltered"].append(spent["whole"])
    _report_cold(result, seconds)


def _report_cold(result: report.Report, seconds: dict[str, list[float]]) -> None:
    def milliseconds(name: str) -> str:
        p50, p95 = (1000 * report.percentile(seconds[name], share) for share in (0.5, 0.95))
        return f"{name} {p50:.1f} and {p95:.1f} ms"

    result.figure(
        f"{len(seconds['whole'])} cold requests, p50 and p95: "
        + ", ".join(milliseconds(name) for name in ("whole", "SQL", "embedding"))
    )
    for name in ("unfiltered", "filtered"):
        result.figure(f"{len(seconds[name])} of them {milliseconds(name)}")
    whole, part = (report.percentile(seconds[name], 0.95) for name in ("whole", "SQL and embedding"))
    result.at_most("cold_p95_of_sql_and_embedding", whole / part, 3.0)


def _must_be_full(body: bytes, *, status: int = 200) -> None:
    if status != 200 or b'"errors"' in body or b'"degraded":true' in body:
        raise SystemExit(f"not a full answer: {status} {body[:300]!r}")


if __name__ == "__main__":
    main()
