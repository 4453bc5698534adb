"""Asking the workers to look at the ledger now. Hints only: without them the schedule finds what is to be done.

So who edits a row waits for the broker no longer than a moment, and once it did not answer, nobody waits for a while.
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

DELAY = 2  # seconds, so that a burst of edits makes one run
PATIENCE = 1.0  # seconds, for the broker to answer

breaker = CircuitBreaker(
    failure_threshold=1, recovery_timeout=5, expected_exception=OperationalError, name="broker"
)


def embed_soon(kind: str) -> None:
    """After the current transaction commits, has a run started over `kind` where something is pending."""
    _send("workers.tasks.start_runs", kwargs={"kinds": [kind], "reason": f"{kind} edited"}, countdown=DELAY)


def start_due_runs(kinds: Sequence[str], *, reason: str) -> list[EmbeddingRun]:
    """Requests a run for each kind and model that lacks vectors and has no open run; they begin after the commit."""
    runs = [run for kind in kinds for run in request_due_runs(kind, reason=reason)]
    plan_soon(run.pk for run in runs)
    return runs


def plan_soon(run_ids: Iterable[int]) -> None:
    """After the current transaction commits, has the runs planned, or their next waves sent."""
    for run_id in run_ids:
        _send("workers.tasks.plan_run", args=[run_id])


def write_soon(run_id: int, wave: int) -> None:
    """After the current transaction commits, has what is embedded of the wave written, and its run finished at its end."""
    _send("workers.tasks.write_wave", args=[run_id, wave])


def invalidate_soon(run_id: int) -> None:
    """Send the task that invalidates the caches for the run, now that they are warmed ahead."""
    _send("workers.tasks.invalidate_run", args=[run_id])


def _send(task: str, **options: Any) -> None:
    def send() -> None:
        if breaker.opened:
            return
        try:
            with breaker, pools.producers[_connection()].acquire(block=True, timeout=PATIENCE) as producer:
                # Where a result is awaited, Celery would first subscribe to it, and retry that for 20 seconds.
                current_app.send_task(task, producer=producer, retry=False, ignore_result=True, **options)
        except OperationalError as error:
            logger.warning("%s was not sent, the schedule will find what is to be done: %s", task, error)

    transaction.on_commit(send)


@cache
def _connection() -> Connection:
    """To the broker, as the workers have it, but without their patience."""
    impatient = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE, "retry_on_timeout": False}
    once = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
    return current_app.connection_for_write(transport_options=impatient | once)
