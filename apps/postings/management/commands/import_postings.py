"""`python manage.py import_postings FILE`"""

from collections.abc import Callable
from pathlib import Path

from apps.postings.inputs import PostingInput
from apps.postings.services import upsert_postings
from apps.records.importing.command import ImportCommand
from apps.records.upsert import UpsertResult


class Command(ImportCommand):
    help = "Import postings from CSV, JSON Lines (plain or gzip) or Parquet."
    form = PostingInput
    presets = Path(__file__).resolve().parents[2] / "presets"

    def write(self) -> Callable[..., UpsertResult]:
        return upsert_postings
