"""Asking the workers to look at the ledger now. Hints only: without them the schedule finds what is to be done."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

from apps.embeddings.models import EmbeddingRun
from apps.embeddings.runs import request_due_runs

logger = logging.getLogger(__name__)

DELAY = 2  # seconds, so that a burst of edits makes one run


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


def _send(task: str, **options: Any) -> None:
    def send() -> None:
        try:
            current_app.send_task(task, retry=False, **options)
        except OperationalError as error:
            logger.warning("%s was not sent, the schedule will find what is to be done: %s", task, error)

    transaction.on_commit(send)
