"""`recommend`: print recommendations in a terminal."""

import shutil
import textwrap
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.candidates.models import Candidate
from apps.embeddings.kinds import tables
from apps.embeddings.models import Kind
from apps.postings.models import Posting
from apps.recommendations import services
from apps.recommendations.matches import Match, Matches
from apps.recommendations.profiles import Profile
from apps.skills.models import Skill


class Command(BaseCommand):
    """Print recommendations for one candidate, posting or text."""

    help = (
        "Print postings that fit a candidate or a text, or candidates that fit a posting, with their skills."
    )
    requires_system_checks = ()  # the checks import everything that serves HTTP

    def add_arguments(self, parser: ArgumentParser) -> None:
        about = parser.add_mutually_exclusive_group(required=True)
        about.add_argument("--candidate", metavar="ID", help="primary key or external id of a candidate")
        about.add_argument("--posting", metavar="ID", help="primary key or external id of a posting")
        about.add_argument("--text", help="a search text, or a description of a person")
        parser.add_argument(
            "--similar", action="store_true", help="with --posting: similar postings instead of candidates"
        )
        parser.add_argument("--limit", type=int, default=10, help="maximum number of matches to print")
        parser.add_argument("--all", action="store_true", help="include closed postings")
        parser.add_argument("--location", help="only in this city, region or country")

    def handle(self, *args: Any, **options: Any) -> None:
        values = {"location": options["location"]}
        if options["limit"] < 1:
            raise CommandError(f"--limit {options['limit']} is too small. Use 1 or more.")
        about = next(name for name in ("candidate", "posting", "text") if options[name] is not None)
        if options["similar"] and about != "posting":
            raise CommandError(f"--similar does not work with --{about}. Use --posting.")
        if options["text"] is not None:
            if not options["text"].strip():
                raise CommandError("--text is empty. Write a search or a description of a person.")
            kind, title = Kind.POSTING, f"Postings for “{options['text']}”"
            matches = services.postings_for_profile(
                Profile(text=options["text"]), self._open(values, options)
            )
        elif options["candidate"] is not None:
            candidate = self._row(Candidate, options["candidate"])
            kind, title = Kind.POSTING, f"Postings for candidate {candidate.pk}: {candidate}"
            matches = services.recommended_postings(candidate.pk, self._open(values, options))
        else:
            posting = self._row(Posting, options["posting"])
            kind = Kind.POSTING if options["similar"] else Kind.CANDIDATE
            title = f"Candidates for posting {posting.pk}: {posting}"
            if options["similar"]:
                title = f"Postings similar to posting {posting.pk}: {posting}"
                matches = services.similar_postings(posting.pk, self._open(values, options))
            else:
                matches = services.recommended_candidates(posting.pk, values)
        self._print(title, kind, matches, options["limit"])

    @staticmethod
    def _open(values: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        return values | {"open_only": not options["all"]}

    @staticmethod
    def _row(model: type[Candidate] | type[Posting], name: str) -> Candidate | Posting:
        rows = model._default_manager.all()
        row = rows.filter(pk=int(name)).first() if name.isdigit() and len(name) < 19 else None
        row = row or rows.filter(external_id=name).first()
        if row is None:
            raise CommandError(
                f"There is no {model._meta.verbose_name} {name!r}. Use a primary key or an external id."
            )
        return row

    def _print(self, title: str, kind: Kind, matches: Matches, limit: int) -> None:
        shown = matches.items[:limit]
        self.stdout.write(self.style.MIGRATE_HEADING(title))
        if matches.degraded:
            self.stdout.write(
                "No query vector available: ranking by full text and skills only. "
                "Check that the embedding server is running and that a model is active."
            )
        if not shown:
            self.stdout.write(
                "No match: no row passes the filter, or none is embedded yet. Run `embed --wait`."
            )
            return
        rows = tables(kind).model._default_manager.in_bulk([match.row_id for match in shown])
        names = dict(Skill.objects.values_list("pk", "name"))
        width = max(60, shutil.get_terminal_size((120, 40)).columns)
        for place, match in enumerate(shown, start=1):
            if match.row_id in rows:
                self._line(place, match, rows[match.row_id], names, width)

    def _line(self, place: int, match: Match, row: Any, names: dict[int, str], width: int) -> None:
        where = ", ".join(part for part in (row.city, row.country) if part) or (
            "remote" if row.remote else ""
        )
        company = getattr(row, "company", None)
        detail = " · ".join(part for part in (str(company) if company else "", where) if part)
        self.stdout.write(f"{place:3}. {match.score:.3f}  {str(row)[: width - 12]}")
        if detail:
            self.stdout.write(f"            {detail[: width - 12]}")
        for label, ids in (("has", match.matched_skills), ("lacks", match.missing_skills)):
            if ids:
                skills = ", ".join(names[each] for each in ids if each in names)
                self.stdout.write(
                    f"            {label + ':':6} {textwrap.shorten(skills, width - 19, placeholder=' …')}"
                )
