"""The command `import_candidates`."""

from pathlib import Path
from typing import Any

from django.db.models import QuerySet

from apps.candidates.inputs import CandidateRow
from apps.candidates.models import Candidate
from apps.candidates.services import upsert_candidates
from apps.records.importing.command import ImportCommand
from apps.records.importing.loader import Write


class Command(ImportCommand):
    """Import candidates."""

    help = "Imports candidates from files, addresses, standard input, or folders of résumés (PDF, Word, Markdown, text)."
    kind = "candidate"
    form = CandidateRow
    presets = Path(__file__).parents[2] / "presets"

    def write(self) -> Write:
        return upsert_candidates

    def open_rows_of(self, source: str) -> QuerySet[Any]:
        return Candidate.objects.filter(source=source)
