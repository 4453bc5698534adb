"""The command `skills`."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.embeddings.hints import embed_soon
from apps.embeddings.management.commands.convert_markup import TABLES
from apps.embeddings.models import Kind
from apps.records.found_skills import refresh_found_skills
from apps.skills.taxonomy import TaxonomyError, import_taxonomy, read_taxonomy


class Command(BaseCommand):
    """Add the skills of a taxonomy to the dictionary, and find skills again in stored texts."""

    help = "Adds the skills of ESCO or O*NET to the dictionary, and finds skills again in the texts of rows."
    requires_system_checks = ()  # the checks import everything that serves HTTP

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        imported = actions.add_parser(
            "import",
            help="add the skills and aliases of a file that the dictionary lacks. Names that are one "
            "ordinary word, such as Route, are not searched for in running text. What people edited stays",
        )
        imported.add_argument(
            "file",
            metavar="FILE",
            type=Path,
            help="JSON Lines with skill_name, aliases, description and taxonomy, or the CSV of ESCO with "
            "preferredLabel, altLabels and description; also with .gz",
        )
        imported.add_argument("--dry-run", action="store_true", help="only count; change nothing")
        refresh = actions.add_parser(
            "refresh", help="find skills again in the texts of all rows, after the dictionary has changed"
        )
        refresh.add_argument("kind", choices=["postings", "candidates"], help="which rows")
        refresh.add_argument(
            "--after",
            type=int,
            default=0,
            metavar="KEY",
            help="go on after the row of this primary key, where a run was stopped (%(default)s)",
        )

    def handle(self, *_: Any, action: str, **options: Any) -> None:
        getattr(self, f"_{action}")(options)

    def _import(self, options: dict[str, Any]) -> None:
        try:
            skills = read_taxonomy(options["file"])
        except TaxonomyError as error:
            raise CommandError(str(error)) from error
        counts = import_taxonomy(skills, dry_run=options["dry_run"])
        verb = "would be added" if options["dry_run"] else "added"
        self.stdout.write(
            f"{counts.read:,} skills read: {counts.added:,} {verb}, {counts.known:,} known already, "
            f"{counts.read - counts.added - counts.known:,} with a name that cannot be used\n"
            f"{counts.aliases:,} aliases {verb}; {counts.left_out:,} names left out: too long, a fragment, "
            "one ordinary word, or a name of another skill\n"
            f"{counts.ambiguous:,} of the new skills are ordinary words, not searched for in running text; "
            f"{counts.listed:,} unlisted skills have a category now"
        )
        if not options["dry_run"] and (counts.added or counts.aliases or counts.listed):
            self.stdout.write(
                "Rows that are imported from now on are searched for them. "
                "For those stored already, run `skills refresh postings` and `skills refresh candidates`."
            )

    def _refresh(self, options: dict[str, Any]) -> None:
        kind = Kind(options["kind"].removesuffix("s"))
        read = changed = 0
        for result in refresh_found_skills(TABLES[kind], after=options["after"]):
            read, changed = result.read, result.changed
            self.stdout.write(
                f"{read:,} rows read, {changed:,} with other skills; continue: --after {result.last}"
            )
        if changed:
            embed_soon(kind)
        self.stdout.write(f"{options['kind']}: {read:,} rows read, {changed:,} have other skills now")
