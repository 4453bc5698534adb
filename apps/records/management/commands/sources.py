"""The command that lists, renames and deletes sources."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.records.sources import SourceError, delete_source, list_sources, rename_source


class Command(BaseCommand):
    """List, rename and delete sources."""

    help = "List, rename and delete the sources of postings and candidates."
    requires_system_checks = ()  # the checks import everything that serves HTTP

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("list", help="print each source with its rows and its last import")
        rename = actions.add_parser("rename", help="give the rows and imports of a source another name")
        rename.add_argument("old", metavar="OLD")
        rename.add_argument("new", metavar="NEW")
        delete = actions.add_parser("delete", help="delete the rows and imports of a source")
        delete.add_argument("name", metavar="NAME")
        delete.add_argument("--yes", action="store_true", help="delete without asking")

    def handle(self, *_: Any, action: str, **options: Any) -> None:
        try:
            if action == "list":
                self._list()
            elif action == "rename":
                count = rename_source(options["old"], options["new"])
                self.stdout.write(f"{count:,} rows of {options['old']} are now of {options['new']}")
            else:
                self._delete(options["name"], is_sure=options["yes"])
        except SourceError as error:
            raise CommandError(str(error)) from error

    def _list(self) -> None:
        sources = list_sources()
        if not sources:
            self.stdout.write("No sources")
        width = max((len(each.name) for each in sources), default=0)
        for each in sources:
            last = each.last_import
            imported = (
                f"last import {last.started_at:%Y-%m-%d %H:%M}, {last.state}: {last.file}"
                if last
                else "never imported"
            )
            self.stdout.write(
                f"{each.name:{width}}  {each.postings:>9,} postings  {each.candidates:>9,} candidates  "
                f"{imported}"
            )

    def _delete(self, name: str, *, is_sure: bool) -> None:
        if not is_sure:
            found = {each.name: each for each in list_sources()}.get(name)
            if found is None:
                raise SourceError(f"Unknown source {name!r}: `sources list` prints all")
            what = f"{found.postings:,} postings and {found.candidates:,} candidates"
            if not sys.stdin.isatty():
                raise CommandError(
                    f"{what} of {name} would be deleted for good. Confirm it with --yes.", returncode=2
                )
            if input(f"Delete {what} of {name} for good? [y/N] ").strip().lower() not in ("y", "yes"):
                raise CommandError("Nothing was deleted.", returncode=2)
        self.stdout.write(f"{delete_source(name):,} rows of {name} are deleted")
