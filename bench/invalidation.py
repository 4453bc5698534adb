"""How long stale answers live: from the Invalidate call until the last of four web processes answers fresh.

Only the sidecar of one host is called, while a load generator keeps all four processes busy. A row is changed
in plain SQL, which no cache is told of; then the RPC is called, and each process is asked until it answers
the new value. At the end the row is as it was.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import corpus, load, report, scratch, web_client

PROCESSES = 4
TIMEOUT = 10.0  # seconds
QUERY = "query ($id: ID!) { posting(id: $id) { title } }"
LOAD = "{ postings(first: 20) { edges { node { id title } } } }"


def main() -> None:
    """Measure many invalidations and print their 99th percentile as the target."""
    options = corpus.arguments(__doc__).parse_args()
    result = report.start("Invalidation")
    # Only an invalidation may make an answer fresh, not its age.
    settings: dict[str, Any] = {"CACHE_L1_TTL": "3600", "CACHE_L2_TTL": "3600", "RATE_LIMIT_ANONYMOUS": ""}
    with corpus.servers(result, options, **settings) as data, web_processes(data) as ports:
        seconds = measure(ports, tries=20 if options.quick else 200)
    result.figure(
        f"{len(seconds)} tries: median {1000 * report.percentile(seconds, 0.5):.0f} ms, "
        f"maximum {1000 * max(seconds):.0f} ms"
    )
    result.at_most("invalidation_p99_ms", 1000 * report.percentile(seconds, 0.99), 250)
    report.end(result)


@contextmanager
def web_processes(data: Path) -> Iterator[list[int]]:
    """Run a sidecar and web servers of one process each, so that each process can be asked; yield their
    ports."""
    from jobrec_site.local.preflight import free_ports
    from jobrec_site.local.programs import Program, web_command

    ports = [free_ports().web for _ in range(PROCESSES)]
    webs = [Program(f"web-{port}", web_command(port, workers=1)) for port in ports]
    with scratch.processes(data, "sidecar", *(web.name for web in webs), more=webs):
        yield ports


def measure(ports: list[int], *, tries: int) -> list[float]:
    """Seconds of each try."""
    from apps.postings.models import Posting

    posting = Posting.objects.earliest("pk")
    for port in ports:
        title_at(port, posting.pk)
    seconds: list[float] = []
    with busy(ports, seconds=tries * 0.2):
        try:
            while len(seconds) < tries:
                seconds.append(one_try(ports, posting.pk, len(seconds)))
        finally:
            change(posting.pk, posting.title)
    return seconds


def one_try(ports: list[int], posting_id: int, number: int) -> float:
    """Seconds from the call of Invalidate until all processes answer the changed title."""
    from django.conf import settings

    from apps.caching.client import invalidate

    title = f"Try {number}"
    change(posting_id, title)
    started = time.perf_counter()
    answer = invalidate(settings.INVALIDATION_BIND, ["postings"], run_id=f"bench-{os.getpid()}-{number}")
    if answer.reached != len(ports):
        raise SystemExit(f"Only {answer.reached} of {len(ports)} web processes listen.")
    stale = ports
    while stale:
        stale = [port for port in stale if title_at(port, posting_id) != title]
        if time.perf_counter() - started > TIMEOUT:
            raise SystemExit(f"{len(stale)} of {len(ports)} web processes are stale after {TIMEOUT:.0f} s.")
    return time.perf_counter() - started


@contextmanager
def busy(ports: list[int], *, seconds: float) -> Iterator[None]:
    """Load all processes while the block runs. Ends the program where an answer fails."""
    started, ending = Event(), Event()

    def load_until_ended() -> list[load.Load]:
        loads = []
        while not ending.is_set():
            requests = [load.post("/graphql", {"query": LOAD})]
            loads.append(
                load.run(ports, requests, seconds=seconds, connections=2 * len(ports), on_start=started.set)
            )
        return loads

    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(load_until_ended)
        try:
            while not started.wait(0.1):
                if loading.done():
                    loading.result()
            yield
        finally:
            ending.set()
    total = load.together(loading.result())
    if total.failed or not total.answers:
        raise SystemExit(f"{total.failed} of {total.answers} answers under load failed.")


def change(posting_id: int, title: str) -> None:
    """Change the row without telling any cache."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("UPDATE postings_posting SET title = %s WHERE id = %s", [title, posting_id])


def title_at(port: int, posting_id: int) -> str:
    """The title that one web process answers."""
    content = {"query": QUERY, "variables": {"id": posting_id}}
    return str(json.loads(web_client.full_answer(port, content))["data"]["posting"]["title"])


if __name__ == "__main__":
    main()
