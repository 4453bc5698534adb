"""A limit on every statement of the web processes. Workers have none: they build indexes."""

from typing import Any

from django.conf import settings
from django.db.backends.signals import connection_created


def limit_statements() -> None:
    """From now on every connection of this process that opens has the limit."""
    connection_created.connect(_set_timeout, dispatch_uid="web statement timeout")


def _set_timeout(*, connection: Any, **_: Any) -> None:
    with connection.cursor() as cursor:
        milliseconds = round(settings.WEB_STATEMENT_TIMEOUT * 1000)
        cursor.execute("SELECT set_config('statement_timeout', %s, false)", [str(milliseconds)])
