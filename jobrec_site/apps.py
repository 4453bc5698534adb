from typing import Any

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate


class JobrecSiteConfig(AppConfig):
    name = "jobrec_site"

    def ready(self) -> None:
        # Django announces migrations of apps with models only; the groups are rows of this one.
        post_migrate.connect(_create_missing_roles, sender=apps.get_app_config("auth"))


def _create_missing_roles(**_: Any) -> None:
    from jobrec_site.roles import create_missing_roles

    create_missing_roles()
