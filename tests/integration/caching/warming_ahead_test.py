"""The invalidation task of a run, a real sidecar, and a warmer played by the test."""

from collections.abc import Iterator
from typing import Any

import pytest

from apps.caching import client, generations, sidecar, warming_ahead
from apps.caching.warming_ahead import PlannedInvalidation, WarmingRequests
from apps.embeddings.invalidation import run_of
from apps.embeddings.models import Invalidation
from apps.embeddings.runs import request_run
from jobrec_site.local.preflight import free_ports
from tests.integration.embeddings.factories import make_model
from tests.stack import wait_until
from workers import tasks

pytestmark = pytest.mark.usefixtures("db", "clean_cache")


@pytest.fixture
def record(settings: Any) -> Iterator[Invalidation]:
    """An invalidation that no sidecar has acknowledged; one sidecar serves."""
    address = f"127.0.0.1:{free_ports().invalidation}"
    settings.INVALIDATION_ADDRESSES = [address]
    running = sidecar.start(address)
    try:
        yield Invalidation.objects.create(run=request_run("posting", make_model(), reason="test")[0])
    finally:
        running.stop()
        client.sidecar(address).close()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The countdowns with which the task has sent itself."""
    countdowns: list[float] = []
    monkeypatch.setattr(
        tasks.invalidate_run, "apply_async", lambda _arguments, countdown: countdowns.append(countdown)
    )
    return countdowns


@pytest.fixture
def warmer() -> Iterator[WarmingRequests]:
    """A warmer that listens."""
    requests = WarmingRequests()
    assert requests.next(timeout=5) is None  # the subscription
    yield requests
    requests.close()


def acknowledged(record: Invalidation) -> bool:
    record.refresh_from_db()
    return record.acknowledged_at is not None


def request_of(warmer: WarmingRequests) -> PlannedInvalidation:
    planned: PlannedInvalidation = wait_until(lambda: warmer.next(timeout=1), "a request", timeout=10)
    return planned


def test_invalidation_is_delivered_at_once_when_no_warmer_listens(
    record: Invalidation, sent: list[float]
) -> None:
    tasks.invalidate_run(record.run_id)
    assert (sent, acknowledged(record)) == ([], True)


def test_invalidation_uses_the_generation_of_the_warm_responses(
    record: Invalidation, sent: list[float], warmer: WarmingRequests, settings: Any
) -> None:
    tasks.invalidate_run(record.run_id)
    [countdown] = sent
    assert 0 < countdown <= settings.CACHE_WARM_SECONDS + warming_ahead.GRACE
    assert not acknowledged(record)
    planned = request_of(warmer)
    assert (planned.tags, run_of(planned.run_id)) == (("postings", "postings:*"), record.run_id)
    assert [warming_ahead.claim(planned), warming_ahead.claim(planned)] == [True, False]
    generation = generations.planned_generation()
    warming_ahead.finish(planned, generation)
    tasks.invalidate_run(record.run_id)
    assert acknowledged(record)
    assert generations.read_tags(planned.tags) == dict.fromkeys(planned.tags, generation)
    assert len(sent) == 1


def test_repeated_invalidation_task_asks_no_warmer_again(
    record: Invalidation, sent: list[float], warmer: WarmingRequests
) -> None:
    for _ in range(2):
        tasks.invalidate_run(record.run_id)
    assert sent[0] >= sent[1] > 0
    request_of(warmer)
    assert warmer.next(timeout=0.5) is None


def test_invalidation_is_delivered_after_the_deadline_when_the_warmer_dies(
    record: Invalidation, sent: list[float], warmer: WarmingRequests, settings: Any
) -> None:
    settings.CACHE_WARM_SECONDS = 1 - warming_ahead.GRACE  # a deadline of one second
    tasks.invalidate_run(record.run_id)
    assert len(sent) == 1

    def delivered() -> bool:
        tasks.invalidate_run(record.run_id)
        return acknowledged(record)

    wait_until(delivered, "the invalidation is delivered", timeout=10)


def test_run_of_ignores_the_invalidations_of_other_programs() -> None:
    assert [run_of("run-12-7"), run_of("nightly"), run_of("")] == [12, None, None]
