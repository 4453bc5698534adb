"""`python manage.py import_candidates FILE`"""

from collections.abc import Callable
from pathlib import Path

from apps.candidates.inputs import CandidateInput
from apps.candidates.services import upsert_candidates
from apps.records.importing.command import ImportCommand
from apps.records.upsert import UpsertResult


class Command(ImportCommand):
    help = "Import candidates from CSV, JSON Lines (plain or gzip) or Parquet."
    form = CandidateInput
    presets = Path(__file__).resolve().parents[2] / "presets"

    def write(self) -> Callable[..., UpsertResult]:
        return upsert_candidates
