"""Messages to the workers, sent by name after the commit. Hints only: rows are the truth, and without a message the
schedule and the sweeper find the work. A broker that is gone is logged, not raised."""

import logging
from collections.abc import Sequence
from typing import Any

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

from apps.embeddings.models import EmbeddingRun
from apps.embeddings.planning import request_due_runs

logger = logging.getLogger(__name__)

DELAY = 2  # seconds, so that a burst of edits makes one run


def embed_soon(kind: str) -> None:
    """Has the pending rows of `kind` embedded once the current transaction is committed."""
    _send("start_runs", kwargs={"kinds": [kind], "reason": f"{kind} edited"}, countdown=DELAY)


def start_due_runs(kinds: Sequence[str], *, reason: str) -> list[EmbeddingRun]:
    """Requests a run for each kind and model that lacks vectors and has no open run; they begin after the commit."""
    runs = [run for kind in kinds for run in request_due_runs(kind, reason=reason)]
    for run in runs:
        _send("plan_run", args=[run.pk])
    return runs


def _send(task: str, **options: Any) -> None:
    def send() -> None:
        try:
            current_app.send_task(f"workers.tasks.{task}", queue="control", retry=False, **options)
        except OperationalError as error:
            logger.warning("%s was not sent, the schedule will find the work: %s", task, error)

    transaction.on_commit(send)
