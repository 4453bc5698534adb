"""Django's configuration of the site: the admin and the roles."""

from typing import Any

from django.apps import AppConfig, apps
from django.contrib.admin import autodiscover
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks
from django.db.models.signals import post_migrate


class AdminConfig(SimpleAdminConfig):
    """The admin without autodiscovery: urls.py loads its pages, so that workers and commands start faster."""

    def ready(self) -> None:
        for check in (check_dependencies, _check_pages):
            checks.register(check, checks.Tags.admin)


class JobrecSiteConfig(AppConfig):
    """The site app: creates the roles after migrations."""

    name = "jobrec_site"

    def ready(self) -> None:
        # Django sends post_migrate only for apps with models; the groups belong to this one.
        post_migrate.connect(_create_missing_roles, sender=apps.get_app_config("auth"))


def _check_pages(**options: Any) -> Any:
    autodiscover()
    return check_admin_app(**options)


def _create_missing_roles(**_: Any) -> None:
    from jobrec_site.roles import create_missing_roles

    create_missing_roles()
