"""The command `import_postings`."""

from pathlib import Path
from typing import Any

from django.db.models import QuerySet

from apps.postings.inputs import PostingRow
from apps.postings.models import Posting
from apps.postings.services import close_missing, upsert_postings
from apps.records.importing.command import ImportCommand
from apps.records.importing.loader import Write


class Command(ImportCommand):
    """Import postings."""

    help = "Imports postings from files, addresses or standard input, whatever their format and columns."
    kind = "posting"
    form = PostingRow
    presets = Path(__file__).parents[2] / "presets"

    def write(self) -> Write:
        return upsert_postings

    def open_rows_of(self, source: str) -> QuerySet[Any]:
        return Posting.objects.filter(source=source, status=Posting.Status.OPEN)

    def close(self, row_ids: list[int]) -> int | None:
        return close_missing(row_ids)
