"""The command `convert_places`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.candidates.models import Candidate
from apps.postings.models import Posting
from apps.records.stored_places import convert_stored_places

MODELS: dict[str, type[Posting | Candidate]] = {"postings": Posting, "candidates": Candidate}


class Command(BaseCommand):
    """Bring the places of stored rows to the form that imports write."""

    help = (
        "Brings the places of rows that an earlier version or plain SQL stored to the form that imports "
        "write: countries as codes, regions told from cities, and coordinates. Only rows that change are "
        "written; a second run changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", choices=list(MODELS), help="which rows")
        parser.add_argument("--dry-run", action="store_true", help="only count the rows; change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        kind, is_dry_run = options["kind"], options["dry_run"]
        result = convert_stored_places(MODELS[kind], namespace=kind, dry_run=is_dry_run)
        done = "would be converted" if is_dry_run else "converted"
        self.stdout.write(
            f"{kind}: {result.read:,} rows with a place read, {result.converted:,} {done}, "
            f"{result.located:,} have coordinates"
        )
