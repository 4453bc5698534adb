"""Django's `migrate`, which first checks that it knows the migrations of the database."""

from typing import Any

from django.apps import apps
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import connections
from django.db.migrations.loader import MigrationLoader


class Command(migrate.Command):
    """Django would stop at an inconsistent history, or go on and fail later with a missing column."""

    def handle(self, *args: Any, **options: Any) -> None:
        unknown = unknown_migrations(options["database"])
        if unknown:
            some = ", ".join(unknown[:3]) + (", …" if len(unknown) > 3 else "")
            raise CommandError(
                "Cannot migrate this database: some of its migrations are not in this version of jobrec "
                f"({some}). A development version before 0.1.0 made it, or a later "
                "version. Use that version, or import your files into a new database: set another "
                "DATABASE_URL, or move the folder .data away if you use `make run`."
            )
        super().handle(*args, **options)


def unknown_migrations(database: str) -> list[str]:
    """Applied migrations of jobrec's own apps that do not exist in this version, as APP.NAME."""
    loader = MigrationLoader(connections[database])
    ours = {config.label for config in apps.get_app_configs() if config.name.startswith("apps.")}
    return sorted(
        f"{app}.{name}"
        for app, name in loader.applied_migrations
        if app in ours and (app, name) not in loader.disk_migrations
    )
