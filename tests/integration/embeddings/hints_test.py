"""Hints to the workers while the broker is unavailable."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from celery import current_app

from apps.embeddings import hints

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def own_broker() -> Iterator[None]:
    """Remove connections and open circuits before and after each test."""
    _reset()
    assert current_app.producer_pool  # creates it, so that no test creates it with another address
    yield
    _reset()


def _reset() -> None:
    hints._connection.cache_clear()
    hints.breaker.reset()


def refuses(stack: ExitStack) -> str:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return f"redis://127.0.0.1:{closed.getsockname()[1]}/0"


def is_silent(stack: ExitStack) -> str:
    listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    return f"redis://127.0.0.1:{listening.getsockname()[1]}/0"


@pytest.mark.parametrize("broker", [refuses, is_silent])
def test_edits_wait_for_an_unavailable_broker_once_and_briefly(
    broker: Callable[[ExitStack], str], monkeypatch: Any, caplog: Any
) -> None:
    with ExitStack() as stack:
        monkeypatch.setattr(current_app.conf, "broker_write_url", broker(stack))
        started = time.monotonic()
        for _ in range(20):
            hints.embed_soon("posting")
        waited = time.monotonic() - started
    assert waited < 20 * hints.BROKER_TIMEOUT  # 20 waits; Celery itself would wait for minutes
    assert [
        record.message.partition(":")[0] for record in caplog.records if record.name == hints.__name__
    ] == ["Cannot send workers.tasks.start_runs, the schedule will find the work"]


def test_a_hint_is_queued_when_the_broker_is_available(clean_cache: None) -> None:
    with current_app.connection_for_read() as connection:
        queue = connection.SimpleQueue("control")
        queue.clear()
        hints.embed_soon("posting")
        assert queue.get(timeout=10).headers["task"] == "workers.tasks.start_runs"
        queue.clear()
