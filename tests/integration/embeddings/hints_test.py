"""What an edit costs while the broker is away."""

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
    """Whatever these tests leave of connections and open circuits is theirs alone."""
    _forget()
    yield
    _forget()


def _forget() -> None:
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
    assert waited < 20 * hints.BROKER_TIMEOUT  # as if each had waited; Celery itself would take minutes
    assert [
        record.message.partition(":")[0] for record in caplog.records if record.name == hints.__name__
    ] == ["workers.tasks.start_runs was not sent, the schedule will find what is to be done"]


def test_a_hint_is_queued_when_the_broker_is_available(clean_cache: None) -> None:
    with current_app.connection_for_read() as connection:
        queue = connection.SimpleQueue("control")
        queue.clear()
        hints.embed_soon("posting")
        assert queue.get(timeout=10).headers["task"] == "workers.tasks.start_runs"
        queue.clear()
