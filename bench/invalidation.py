"""How long stale answers live: from the Invalidate call to the last of four web processes that answers fresh.

Two web servers of two processes each, of which only the first one's sidecar is called, while a load generator keeps
them busy. A row is changed in plain SQL, which no cache hears of; then the RPC is made, and all four are asked again
and again, each over a connection of its own, until each has answered with the new value. At the end the row is as it
was.
"""

import http.client
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

from bench import corpus, load, report

PROCESSES = 2  # of each server
QUERY = "query ($id: ID!) { posting(id: $id) { title } }"
LOAD = "{ postings(first: 20) { edges { node { id title } } } }"


def main() -> None:
    options = corpus.arguments(__doc__).parse_args()
    result = report.start("Invalidation")
    # Only an invalidation may make an answer fresh, not its age.
    lasting: dict[str, Any] = {"CACHE_L1_TTL": "3600", "CACHE_L2_TTL": "3600", "RATE_LIMIT_ANONYMOUS": ""}
    with corpus.servers(result, options, **lasting) as data, four_processes(data) as ports:
        latencies = measure(ports, tries=20 if options.quick else 200)
    result.figure(
        f"{len(latencies)} tries: median {1000 * report.percentile(latencies, 0.5):.0f} ms, "
        f"largest {1000 * max(latencies):.0f} ms"
    )
    result.at_most("invalidation_p99_ms", 1000 * report.percentile(latencies, 0.99), 250)
    report.end(result)


@contextmanager
def four_processes(data: Path) -> Iterator[list[int]]:
    """Two servers of two processes, each a granian of one worker, so that each process can be asked; their ports."""
    from django.conf import settings

    from apps.rpc.client import is_serving
    from jobrec_site.local.preflight import free_ports
    from jobrec_site.local.programs import Ports, Program, application, web_command
    from jobrec_site.local.supervision import Supervisor

    ports = [free_ports().web for _ in range(2 * PROCESSES)]
    webs = [Program(f"web-{port}", web_command(port, workers=1)) for port in ports]
    supervisor = Supervisor(data, [*application(Ports(web=settings.WEB_PORT)), *webs])
    supervisor.start()
    try:
        supervisor.run(["sidecar", *(web.name for web in webs)])
        while not is_serving(settings.INVALIDATION_BIND):
            time.sleep(0.1)
        yield ports
    finally:
        supervisor.stop()


def measure(ports: list[int], *, tries: int) -> list[float]:
    """Seconds of each try."""
    from apps.postings.models import Posting

    posting = Posting.objects.earliest("pk")
    readers = [Reader(port, posting.pk) for port in ports]
    for reader in readers:
        reader.wait_until_up()
    latencies: list[float] = []
    with busy(ports, seconds=tries * 0.2):
        try:
            while len(latencies) < tries:
                latencies.append(one_try(readers, posting.pk, len(latencies)))
        finally:
            change(posting.pk, posting.title)
    return latencies


def one_try(readers: list["Reader"], posting_id: int, number: int) -> float:
    """Seconds from the call of Invalidate until all readers have seen the change."""
    from django.conf import settings

    from apps.caching.client import invalidate

    title = f"Try {number}"
    change(posting_id, title)
    started = time.perf_counter()
    answer = invalidate(settings.INVALIDATION_BIND, ["postings"], run_id=f"bench-{os.getpid()}-{number}")
    if answer.reached != len(readers):
        raise SystemExit(f"{answer.reached} of {len(readers)} web processes listen")
    waiting = readers
    while waiting:
        waiting = [reader for reader in waiting if reader.title() != title]
        if time.perf_counter() - started > 10:
            raise SystemExit(f"stale for 10 s: {len(waiting)} of {len(readers)} web processes")
    return time.perf_counter() - started


@contextmanager
def busy(ports: list[int], *, seconds: float) -> Iterator[None]:
    """Loads all processes, at least as long as the block takes. Ends the program where they do not answer well."""
    going, ending = Event(), Event()

    def keep_busy() -> list[load.Load]:
        loads = []
        while not ending.is_set():
            requests = [load.post("/graphql", {"query": LOAD})]
            loads.append(
                load.run(ports, requests, seconds=seconds, connections=2 * len(ports), on_start=going.set)
            )
        return loads

    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(keep_busy)
        try:
            while not going.wait(0.1):
                if loading.done():
                    loading.result()
            yield
        finally:
            ending.set()
    loads = load.together(loading.result())
    if loads.failed or not loads.answers:
        raise SystemExit(f"under load {loads.failed} of {loads.answers} answers were none")


def change(posting_id: int, title: str) -> None:
    """Changes the row as somebody would behind jobrec's back."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("UPDATE postings_posting SET title = %s WHERE id = %s", [title, posting_id])


class Reader:
    """One connection to one web process."""

    def __init__(self, port: int, posting_id: int) -> None:
        self._body = json.dumps({"query": QUERY, "variables": {"id": posting_id}}).encode()
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def wait_until_up(self) -> None:
        until = time.monotonic() + 60
        while True:
            try:
                self.title()
            except OSError:
                if time.monotonic() > until:
                    raise
                self._connection.close()
                time.sleep(0.2)
            else:
                return

    def title(self) -> str:
        self._connection.request("POST", "/graphql", self._body, {"Content-Type": "application/json"})
        answer: Any = json.loads(self._connection.getresponse().read())
        return str(answer["data"]["posting"]["title"])


if __name__ == "__main__":
    main()
