"""The Django app of the workers."""

from typing import Any

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate


class WorkersConfig(AppConfig):
    """Creates the periodic tasks after `migrate`."""

    name = "workers"
    label = "workers"

    def ready(self) -> None:
        # Django sends the signal only for apps with models; the schedules are models of django_celery_beat.
        post_migrate.connect(_create_missing_schedules, sender=apps.get_app_config("django_celery_beat"))


def _create_missing_schedules(**_: Any) -> None:
    from workers.schedules import create_missing_schedules

    create_missing_schedules()
