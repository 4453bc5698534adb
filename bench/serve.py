"""How much a cached recommendation costs beside a bare Django view, and an uncached one beside its SQL and embedding.

Hits: the real web server and a bare Django view of the same bytes, each one granian process, asked in turns by the
same load generator. Cold: each request with a text of its own, so that no cache answers; whole request against the sum
of its statements and its embedding call, all measured in the same requests.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import load, report, scratch

QUERY = """query Recommended($profile: ProfileInput!, $first: Int) {
  recommendedPostingsForProfile(profile: $profile, first: $first) {
    totalCount degraded pageInfo { hasNextPage endCursor }
    edges {
      cursor score node { id title company { name } city country remote skills { name } salaryMin salaryMax publishedAt }
      explanation { vectorScore skillOverlap skillCoverage
        matchedSkills { name } missingSkills { name } extraSkills { name } }
    }
  }
}"""
TEXT = "Backend engineer who knows Python, PostgreSQL and Kubernetes, six years"


def asking(text: str) -> dict[str, Any]:
    return {"query": QUERY, "variables": {"profile": {"text": text, "experienceYears": 6}, "first": 20}}


def main() -> None:
    options = report.arguments(__doc__).parse_args()
    result = report.start("Serving")
    with scratch.servers(None, **scratch.free_addresses(), RATE_LIMIT_ANONYMOUS="") as data:
        fill(data, postings=200 if options.quick else 5_000)
        measure_hits(result, data, rounds=3 if options.quick else 5, seconds=2 if options.quick else 6)
        with processes(data, "embedding-server"):
            measure_cold(result, requests=40 if options.quick else 300)
    report.end(result)


def fill(data: Path, *, postings: int) -> None:
    """Sample postings and some candidates, embedded by the real pipeline."""
    for kind, count in (("postings", postings), ("candidates", 50)):
        file = data / f"{kind}.jsonl"
        scratch.manage("generate_sample", kind, f"--count={count}", f"--out={file}")
        scratch.manage(f"import_{kind}", str(file))
    with processes(data, "sidecar", "embedding-server", "embed-worker", "write-worker"):
        scratch.manage("embed", "--wait", "--timeout=900")


@contextmanager
def processes(data: Path, *names: str, body: Path | None = None) -> Iterator[tuple[int, int]]:
    """Runs processes by name, `web` and `bare` with one worker each; (port of web, port of bare)."""
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
        yield settings.WEB_PORT, bare_port
    finally:
        supervisor.stop()


def measure_hits(result: report.Report, data: Path, *, rounds: int, seconds: float) -> None:
    body = data / "body.json"
    request = load.post("/graphql", asking(TEXT))
    with processes(data, "web", "embedding-server") as (port, _):
        body.write_bytes(answer_of(port, asking(TEXT)))
    with processes(data, "web", "embedding-server", "bare", body=body) as (port, bare_port):
        if answer_of(port, asking(TEXT)) != answer_of(bare_port, asking(TEXT)):
            raise SystemExit("the two servers do not answer the same bytes")
        ratios = []
        for _ in range(rounds):
            hit = load.run(port, [request], seconds=seconds)
            bare = load.run(bare_port, [request], seconds=seconds)
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
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
        else:
            if b'"errors"' in body or b'"degraded":true' in body:
                raise SystemExit(f"not a full answer: {body[:300]!r}")
            return body


def measure_cold(result: report.Report, *, requests: int) -> None:
    from django.db import connection
    from django.test import Client

    from apps.embeddings.client import embedding_server

    wholes, parts, spent = [], [], [0.0]

    def timed(function: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent[0] += time.perf_counter() - started

        return call

    def statement(execute: Any, sql: Any, parameters: Any, many: bool, context: Any) -> Any:
        return timed(execute)(sql, parameters, many, context)

    reader = Client(SERVER_NAME="localhost")
    server = embedding_server()
    with connection.execute_wrapper(statement), patch.object(server, "call", timed(server.call)):
        for number in range(requests + 10):
            spent[0] = 0.0
            started = time.perf_counter()
            response = reader.post(
                "/graphql", asking(f"{TEXT}, {number} weeks"), content_type="application/json"
            )
            wholes.append(time.perf_counter() - started)
            parts.append(spent[0])
            if (
                response.status_code != 200
                or b'"errors"' in response.content
                or b'"degraded":true' in response.content
            ):
                raise SystemExit(f"not a full answer: {response.content[:300]!r}")
    whole, part = (report.percentile(each[10:], 0.95) for each in (wholes, parts))  # the first ten warm up
    result.figure(f"cold: p95 {1000 * whole:.1f} ms, of which SQL and embedding {1000 * part:.1f} ms")
    result.at_most("cold_p95_of_sql_and_embedding", whole / part, 3.0)


if __name__ == "__main__":
    main()
