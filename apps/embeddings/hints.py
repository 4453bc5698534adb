"""Hints to the workers: messages to look at the ledger now. If one is lost, the schedule finds the work.

So an edit waits for the broker for a second at most, and does not wait at all for some seconds after a
failure.
"""

import logging
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from celery import current_app
from circuitbreaker import CircuitBreaker
from django.db import transaction
from kombu import Connection, pools
from kombu.exceptions import OperationalError

from apps.embeddings.models import EmbeddingRun
from apps.embeddings.runs import request_due_runs

logger = logging.getLogger(__name__)

DELAY = 2  # seconds, so that a burst of edits starts one run
BROKER_TIMEOUT = 1.0  # seconds

breaker = CircuitBreaker(
    failure_threshold=1, recovery_timeout=5, expected_exception=OperationalError, name="broker"
)


def embed_soon(kind: str) -> None:
    """After the commit, have a run started over `kind` if rows are pending."""
    _send("workers.tasks.start_runs", kwargs={"kinds": [kind], "reason": f"{kind} edited"}, countdown=DELAY)


def start_due_runs(kinds: Sequence[str], *, reason: str) -> list[EmbeddingRun]:
    """Request a run for each kind and model with pending rows and no open run; starts after the commit."""
    runs = [run for kind in kinds for run in request_due_runs(kind, reason=reason)]
    plan_soon(run.pk for run in runs)
    return runs


def plan_soon(run_ids: Iterable[int]) -> None:
    """After the commit, have the runs planned, or their next waves sent."""
    for run_id in run_ids:
        _send("workers.tasks.plan_run", args=[run_id])


def write_soon(run_id: int, wave: int) -> None:
    """After the commit, have the embedded chunks of the wave written, and the run finished at its end."""
    _send("workers.tasks.write_wave", args=[run_id, wave])


def invalidate_soon(run_id: int) -> None:
    """Send the task that invalidates the caches for the run, now that they are warmed ahead."""
    _send("workers.tasks.invalidate_run", args=[run_id])


def _send(task: str, **options: Any) -> None:
    def send() -> None:
        if breaker.opened:
            return
        try:
            with (
                breaker,
                pools.producers[_connection()].acquire(block=True, timeout=BROKER_TIMEOUT) as producer,
            ):
                # Without ignore_result, Celery would first subscribe to the result and retry that for 20
                # seconds.
                current_app.send_task(task, producer=producer, retry=False, ignore_result=True, **options)
        except OperationalError as error:
            logger.warning("Cannot send %s, the schedule will find the work: %s", task, error)

    transaction.on_commit(send)


@cache
def _connection() -> Connection:
    """A connection to the broker with short timeouts and no retries."""
    timeouts = {
        "socket_timeout": BROKER_TIMEOUT,
        "socket_connect_timeout": BROKER_TIMEOUT,
        "retry_on_timeout": False,
    }
    no_retries = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
    return current_app.connection_for_write(transport_options=timeouts | no_retries)
