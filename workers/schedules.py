"""The schedules a new database starts with. People change them in the admin; nothing here changes them back."""

import json
from datetime import timedelta

from django.conf import settings
from django_celery_beat.models import IntervalSchedule, PeriodicTask


def create_missing_schedules() -> None:
    """Adds the periodic tasks that are not there by name. Idempotent."""
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
            # A tick that nobody took before the next one is worthless: ticks must not pile up while workers are down.
            "expire_seconds": int(period.total_seconds()),
        },
    )
