"""Asking the workers to look for pending rows now. A hint only: without it the schedule finds them."""

import logging

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

DELAY = 2  # seconds, so that a burst of edits makes one run


def embed_soon(kind: str) -> None:
    """After the current transaction commits, sends the hint. A broker that is gone is logged, not raised."""

    def send() -> None:
        try:
            current_app.send_task(
                "workers.tasks.start_runs",
                kwargs={"kinds": [kind], "reason": f"{kind} edited"},
                queue="control",
                countdown=DELAY,
                retry=False,
            )
        except OperationalError as error:
            logger.warning("no hint sent, the schedule will find the pending %ss: %s", kind, error)

    transaction.on_commit(send)


def write_soon(run_id: int, wave: int) -> None:
    """Has what is embedded of the wave written, and its run finished after the last. Call outside a transaction."""
    try:
        current_app.send_task("workers.tasks.write_wave", [run_id, wave], queue="write", retry=False)
    except OperationalError as error:
        logger.warning("no hint sent, the sweeper will find what is to be written: %s", error)
