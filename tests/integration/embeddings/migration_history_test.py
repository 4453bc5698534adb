"""Databases of versions whose migrations do not exist any more."""

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db.migrations.recorder import MigrationRecorder

pytestmark = pytest.mark.django_db


def test_migrate_refuses_a_database_with_unknown_migrations_and_says_what_to_do() -> None:
    MigrationRecorder.Migration.objects.create(app="embeddings", name="0002_vectors")
    with pytest.raises(
        CommandError, match=r"embeddings\.0002_vectors\)\. A development version before 0\.1\.0"
    ):
        call_command("migrate", verbosity=0)


def test_migrate_ignores_unknown_migrations_of_other_packages() -> None:
    MigrationRecorder.Migration.objects.create(app="flatpages", name="0009_removed")
    call_command("migrate", verbosity=0)
