"""Responses of a real web server while its cache or its sidecar is unavailable."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.caching.client import invalidate
from apps.rpc.errors import TransientRpcError
from jobrec_site.addresses import embedded_redis_url, redis_database
from jobrec_site.local import embedded
from tests.stack import Stack, wait_until

TITLE = "query($id: ID!) { posting(id: $id) { title } }"
LATEST = (
    "query($first: Int) { postings(first: $first) { totalCount edges { node { title skills { name } } } } }"
)


WEB_PROCESSES = 2


class Cache:
    """A Valkey server for this module only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self.process = embedded.prepare_valkey(self.folder, fast=True).start()
        embedded.wait_for_valkey(self.folder)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server."""
        assert self.process is not None
        self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.process.wait(10)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cache]:
    cache = Cache(tmp_path_factory.mktemp("cache"))
    cache.start()
    try:
        yield cache
    finally:
        cache.signal(signal.SIGKILL)


@pytest.fixture(scope="module")
def stack(servers: Path, cache: Cache, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    url = redis_database(embedded_redis_url(cache.folder), 2)
    stack = Stack(servers, folder, REDIS_CACHE_URL=url, CACHE_L1_TTL="3", CACHE_L2_TTL="3")
    try:
        stack.create()
        stack.import_sample("postings", 40)
        stack.start("sidecar", "web")
        yield stack
    finally:
        stack.close()


def title(stack: Stack, posting: int = 1) -> str:
    """The title of a posting as the API answers it."""
    return str(stack.graphql(TITLE, id=str(posting))["posting"]["title"])


def rename(stack: Stack, new: str) -> None:
    """Change the title of posting 1 in plain SQL, which invalidates no cache."""
    stack.sql("UPDATE postings_posting SET title = %s WHERE id = 1", [new])


def all_are_subscribed(stack: Stack) -> bool:
    """Whether an invalidation reaches every web process. A process subscribes at its first lookup."""
    title(stack)
    try:
        return invalidate(f"127.0.0.1:{stack.ports.invalidation}", ["postings"]).reached == WEB_PROCESSES
    except TransientRpcError:
        return False


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL], ids=["silent", "dead"])
def test_the_database_answers_while_the_shared_cache_is_unavailable(
    stack: Stack, cache: Cache, how: signal.Signals
) -> None:
    title(stack)
    cache.signal(how)
    try:
        for first in range(1, 21):  # each a request that is not cached
            data = stack.graphql(LATEST, first=first)["postings"]
            assert (data["totalCount"], len(data["edges"])) == (40, first)
        rename(stack, f"Renamed while the cache was {how.name}")
        # Invalidations do not arrive, so that the response is fresh after it has expired.
        wait_until(
            lambda: title(stack) == f"Renamed while the cache was {how.name}", "the response has expired"
        )
    finally:
        if how == signal.SIGSTOP:
            cache.signal(signal.SIGCONT)
        else:
            cache.start()
    wait_until(lambda: all_are_subscribed(stack), "the web processes are subscribed again")
    wait_until(lambda: title(stack) == f"Renamed while the cache was {how.name}", "still fresh")


def test_responses_expire_by_their_age_while_the_sidecar_is_down(stack: Stack) -> None:
    stack.halt("sidecar")
    rename(stack, "Not invalidated")
    wait_until(lambda: title(stack) == "Not invalidated", "the response has expired")
