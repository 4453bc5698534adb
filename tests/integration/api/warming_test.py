"""The cache warmer in real processes: popular responses are cached before they are requested."""

import gc
import json
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from apps.api.request import GraphQLRequest
from apps.api.warming import claim
from apps.caching import client
from apps.embeddings.models import EmbeddingModel
from apps.recommendations.matches import Match
from jobrec_site.management.commands import warm_caches
from tests.integration.api.conftest import key
from tests.stack import Stack, wait_until

QUERY = "query($first: Int) { postings(first: $first, orderBy: LAST_CHANGED) { edges { node { title } } } }"
POPULAR = {"query": QUERY, "variables": {"first": 1}}


@pytest.fixture(scope="module")
def stack(servers: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    stack = Stack(servers, folder, CACHE_L1_TTL="3600", CACHE_L2_TTL="3600")
    try:
        stack.create()
        stack.import_sample("postings", 20)
        stack.start("sidecar", "web")
        yield stack
    finally:
        stack.close()


@pytest.fixture
def cache(stack: Stack) -> Any:
    return redis.Redis.from_url(stack.redis_urls[2])


def ask(stack: Stack, content: Any = POPULAR) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{stack.ports.web}/graphql",
        json.dumps(content).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def titles(answer: Any) -> list[str]:
    return [edge["node"]["title"] for edge in answer["data"]["postings"]["edges"]]


def answered(stack: Stack, title: str, *, before: Sequence[str]) -> None:
    """Wait for `title`. Until the web process hears of the invalidation, it may answer with `before`."""

    def heard() -> bool:
        [found] = titles(ask(stack))
        assert found in {title, *before}
        return found == title

    wait_until(heard, f"the answer is {title}")


def passes(stack: Stack) -> list[str]:
    """What the warmer says of its passes, such as "1 of 1"."""
    lines = stack.log("cache-warmer").splitlines()
    return [line.split(": ")[-1].split(" responses")[0] for line in lines if "responses are warm" in line]


def change(stack: Stack, title: str) -> None:
    """As after a run: the rows are others, and the sidecar is told."""
    stack.sql("UPDATE postings_posting SET title = %s, updated_at = now() WHERE id = 1", [title])
    tell(stack)


def tell(stack: Stack) -> None:
    client.invalidate(f"127.0.0.1:{stack.ports.invalidation}", ["postings"], reason="test")


@contextmanager
def no_postings(stack: Stack) -> Iterator[None]:
    """Every statement that reads postings fails in this context."""
    stack.sql("ALTER TABLE postings_posting RENAME TO elsewhere")
    try:
        yield
    finally:
        stack.sql("ALTER TABLE elsewhere RENAME TO postings_posting")


def request_warming(stack: Stack, run_id: str) -> float:
    return client.warm_ahead(f"127.0.0.1:{stack.ports.invalidation}", ["postings"], run_id=run_id)


def warm_ahead(stack: Stack, run_id: str) -> None:
    assert request_warming(stack, run_id) > 0, "a warmer listens"
    wait_until(lambda: request_warming(stack, run_id) == 0, "the warmer has finished")


def test_warm_ahead_returns_no_wait_when_no_warmer_listens(stack: Stack) -> None:
    assert request_warming(stack, "nobody") == 0


def test_a_popular_response_is_warmed_after_the_start_and_after_an_invalidation(
    stack: Stack, cache: Any
) -> None:
    [old] = titles(ask(stack))
    wait_until(lambda: cache.keys("jobrec:popularity:*"), "the request is counted")
    change(stack, "Changed before the start")
    stack.start("cache-warmer")
    wait_until(lambda: passes(stack) == ["1 of 1"], "a pass at the start")
    with no_postings(stack):
        answered(stack, "Changed before the start", before=[old])
    change(stack, "Changed by a run")
    wait_until(lambda: passes(stack) == ["1 of 1"] * 2, "a pass after the invalidation")
    with no_postings(stack):
        answered(stack, "Changed by a run", before=["Changed before the start"])
        assert "errors" in ask(stack, POPULAR | {"variables": {"first": 2}})  # not a popular request


def test_a_request_that_fails_while_warmed_is_not_cached(stack: Stack, cache: Any) -> None:
    day = max(cache.keys("jobrec:popularity:*"))
    cache.zadd(day, {json.dumps(["{ noSuchField }", {}, None]): 1000.0})
    before = len(passes(stack))
    change(stack, "Second change")
    wait_until(lambda: passes(stack)[before:] == ["1 of 2"], "the others are warmed")
    with no_postings(stack):
        tell(stack)
        wait_until(lambda: passes(stack)[before:] == ["1 of 2", "0 of 2"], "a pass in vain")
    answered(stack, "Second change", before=["Changed by a run"])  # the error was not cached
    assert stack.supervisor is not None
    assert stack.supervisor.state("cache-warmer") == "RUNNING"


def test_a_response_is_warmed_ahead_of_the_invalidation_by_a_run(stack: Stack) -> None:
    address = f"127.0.0.1:{stack.ports.invalidation}"
    [old] = titles(ask(stack))
    stack.sql("UPDATE postings_posting SET title = 'Warmed ahead' WHERE id = 1")
    warm_ahead(stack, "run-1")
    assert titles(ask(stack)) == [old]
    client.invalidate(address, ["postings"], run_id="run-1")
    with no_postings(stack):
        answered(stack, "Warmed ahead", before=[old])


def test_a_response_warmed_before_an_edit_is_never_found(stack: Stack) -> None:
    address = f"127.0.0.1:{stack.ports.invalidation}"
    [old] = titles(ask(stack))
    warm_ahead(stack, "run-2")
    change(stack, "Edited during the run")
    stack.sql("UPDATE postings_posting SET title = 'Of the run' WHERE id = 1")
    client.invalidate(address, ["postings"], run_id="run-2")
    answered(stack, "Of the run", before=[old, "Edited during the run"])


def test_warm_caches_once_reports_how_many_responses_are_warm(stack: Stack) -> None:
    assert "1 of 2 responses are warm" in stack.manage("warm_caches", "--once")


def matches_in_memory() -> set[int]:
    """The identities of all matches."""
    return {id(each) for each in gc.get_objects() if type(each) is Match}  # isinstance wakes lazy modules


def test_a_pass_of_the_warmer_leaves_no_matches_in_memory(
    corpus: EmbeddingModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm_caches, "close_old_connections", lambda: None)  # the test's own
    query = "query ($id: ID!) { similarPostings(postingId: $id) { edges { score } } }"
    before = matches_in_memory()  # the traceback of an error in an earlier test may hold some
    warmed = warm_caches._warm([GraphQLRequest(query, {"id": key("p7")}, None)], threading.Event())
    assert warmed.cached == 1
    assert matches_in_memory() <= before


def test_claim_succeeds_once_for_each_generation(clean_cache: None) -> None:
    assert [claim((1, 2)), claim((1, 2)), claim((1, 3))] == [True, False, True]
