"""Schedules of a new database. People change them in the admin, and this code never changes them back."""

import json
from datetime import timedelta

from django.conf import settings
from django_celery_beat.models import IntervalSchedule, PeriodicTask


def create_missing_schedules() -> None:
    """Create the periodic tasks whose names are missing. Idempotent."""
    _every(settings.SWEEP_EVERY, "Sweep the ledger", "workers.tasks.sweep")
    _every(settings.PRUNE_EVERY, "Prune the ledger", "workers.tasks.prune")
    _every(settings.REEMBED_EVERY, "Embed what is pending", "workers.tasks.start_runs", reason="schedule")


def _every(period: timedelta, name: str, task: str, **arguments: object) -> None:
    schedule, _ = IntervalSchedule.objects.get_or_create(
        every=int(period.total_seconds()), period=IntervalSchedule.SECONDS
    )
    PeriodicTask.objects.get_or_create(
        name=name,
        defaults={
            "task": task,
            "interval": schedule,
            "kwargs": json.dumps(arguments),
            # A tick expires with the next one, so that ticks do not pile up while no worker runs.
            "expire_seconds": int(period.total_seconds()),
        },
    )
