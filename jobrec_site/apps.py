from typing import Any

from django.apps import AppConfig, apps
from django.contrib.admin import autodiscover
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks
from django.db.models.signals import post_migrate


class AdminConfig(SimpleAdminConfig):
    """Pages are loaded where they are served or checked (urls.py): workers and commands start without them."""

    def ready(self) -> None:
        for check in (check_dependencies, _check_pages):
            checks.register(check, checks.Tags.admin)


class JobrecSiteConfig(AppConfig):
    name = "jobrec_site"

    def ready(self) -> None:
        # Django announces migrations of apps with models only; the groups are rows of this one.
        post_migrate.connect(_create_missing_roles, sender=apps.get_app_config("auth"))


def _check_pages(**options: Any) -> Any:
    autodiscover()
    return check_admin_app(**options)


def _create_missing_roles(**_: Any) -> None:
    from jobrec_site.roles import create_missing_roles

    create_missing_roles()
