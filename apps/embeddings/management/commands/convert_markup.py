"""The command `convert_markup`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.candidates.inputs import CandidateInput
from apps.candidates.models import Candidate, CandidateSkill
from apps.embeddings.hints import embed_soon
from apps.embeddings.models import Kind
from apps.postings.inputs import PostingInput
from apps.postings.models import Posting, PostingSkill
from apps.records.stored_markup import MarkupTable, convert_stored_markup

TABLES = {
    Kind.POSTING: MarkupTable(
        Posting, PostingSkill, "posting_id", ["description"], PostingInput.text_fields, "postings"
    ),
    Kind.CANDIDATE: MarkupTable(
        Candidate,
        CandidateSkill,
        "candidate_id",
        ["resume", "looking_for"],
        CandidateInput.text_fields,
        "candidates",
    ),
}
MAX_SHOWN = 10


class Command(BaseCommand):
    """Convert the HTML of stored rows to Markdown."""

    help = (
        "Converts HTML in the texts of rows that an earlier version stored to Markdown, as imports do now. "
        "Only rows that change are written; a second run changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", choices=["postings", "candidates"], help="which rows")
        parser.add_argument("--dry-run", action="store_true", help="only count the rows; change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        kind = Kind(options["kind"].removesuffix("s"))
        result = convert_stored_markup(TABLES[kind], dry_run=options["dry_run"])
        if result.converted and not options["dry_run"]:
            embed_soon(kind)
        done = "would be converted" if options["dry_run"] else "converted"
        self.stdout.write(
            f"{options['kind']}: {result.read:,} rows with `<` or `&` read, {result.converted:,} {done}, "
            f"{result.read - result.converted - len(result.unreadable):,} without HTML"
        )
        if result.unreadable:
            shown = ", ".join(map(str, result.unreadable[:MAX_SHOWN]))
            more = ", …" if len(result.unreadable) > MAX_SHOWN else ""
            self.stderr.write(
                f"{len(result.unreadable):,} rows have too much HTML to convert, and stay as they are. "
                f"Shorten them in the admin; ids: {shown}{more}"
            )
