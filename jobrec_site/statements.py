"""The time limit of SQL statements in web processes. Workers have none, since they build indexes."""

from typing import Any

from django.conf import settings
from django.db.backends.signals import connection_created


def limit_statements() -> None:
    """Set the limit on every connection that this process opens from now on."""
    connection_created.connect(_set_timeout, dispatch_uid="web statement timeout")


def _set_timeout(*, connection: Any, **_: Any) -> None:
    with connection.cursor() as cursor:
        milliseconds = round(settings.WEB_STATEMENT_TIMEOUT * 1000)
        cursor.execute("SELECT set_config('statement_timeout', %s, false)", [str(milliseconds)])
