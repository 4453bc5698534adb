"""The command that lists, replays and discards dead letters."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Count

from apps.embeddings import dead_letters
from apps.embeddings.models import DeadLetter, Kind
from apps.embeddings.models.ledger import DeadLetterQuerySet


class Command(BaseCommand):
    help = "List dead letters, give their rows back to the workers (replay), or accept them (discard)."
    requires_system_checks = ()  # they load all that serves HTTP

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for verb, text in (
            ("list", "one line per letter, the latest first"),
            ("show", "all details of each letter, with the traceback"),
            ("replay", "give the rows back to the workers"),
            ("discard", "accept that the rows have no vector until they are edited"),
        ):
            one = verbs.add_parser(verb, help=text)
            one.add_argument("ids", nargs="*", type=int, metavar="ID", help="numbers of letters")
            one.add_argument("--all", action="store_true", help="all open letters")
            one.add_argument("--error", help="letters whose error contains this")
            one.add_argument("--kind", choices=Kind.values)
            one.add_argument("--run", type=int, help="letters of one run")
            one.add_argument(
                "--state", choices=DeadLetter.State.values, default="open", help="default: %(default)s"
            )
            one.add_argument("--limit", type=int, default=50, help="lines to show (%(default)s)")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        letters = self._selected(options)
        if verb in {"replay", "discard"} and not (
            options["ids"] or options["all"] or options["error"] or options["run"]
        ):
            raise CommandError(
                "No letters are selected. "
                f"Name them: `dead_letters {verb} ID …`, --error TEXT, --run ID or --all."
            )
        getattr(self, f"_{verb}")(letters, options["limit"])

    @staticmethod
    def _selected(options: dict[str, Any]) -> DeadLetterQuerySet:
        letters = DeadLetter.objects.select_related("model")
        if options["ids"]:
            missing = sorted(
                set(options["ids"]) - set(letters.filter(pk__in=options["ids"]).values_list("pk", flat=True))
            )
            if missing:
                raise CommandError(f"No dead letter has the number {', '.join(map(str, missing))}.")
            return letters.filter(pk__in=options["ids"])
        letters = letters.filter(state=options["state"])
        if options["error"]:
            letters = letters.filter(error__icontains=options["error"])
        if options["kind"]:
            letters = letters.filter(kind=options["kind"])
        if options["run"]:
            letters = letters.filter(run_id=options["run"])
        return letters

    def _list(self, letters: DeadLetterQuerySet, limit: int) -> None:
        total = letters.count()
        if not total:
            self.stdout.write("No dead letters.")
            return
        for letter in letters[:limit]:
            self.stdout.write(
                f"{letter.pk:>6}  {letter.kind} {letter.row_id}  {letter.step}, {letter.attempts} attempts, "
                f"{letter.updated_at:%Y-%m-%d %H:%M}  {letter.error}"
            )
        if total > limit:
            self.stdout.write(f"… and {total - limit:,} more")
        for row in letters.order_by().values("error").annotate(count=Count("pk")).order_by("-count")[:5]:
            self.stdout.write(f"{row['count']:>8,} with: {row['error']}")

    def _show(self, letters: DeadLetterQuerySet, limit: int) -> None:
        for letter in letters[:limit]:
            self.stdout.write(
                f"dead letter {letter.pk}: {letter.kind} {letter.row_id}, "
                f"{letter.get_state_display().lower()}\n"
                f"  model     {letter.model}\n  run       {letter.run_id}, chunk {letter.chunk_id}\n"
                f"  step      {letter.step}\n  attempts  {letter.attempts}\n  error     {letter.error}\n"
                f"  since     {letter.created_at:%Y-%m-%d %H:%M:%S} UTC\n{letter.traceback}"
            )

    def _replay(self, letters: DeadLetterQuerySet, _limit: int) -> None:
        replayed = dead_letters.replay(letters)
        where = f" by {', '.join(f'run {run_id}' for run_id in replayed.runs)}" if replayed.runs else ""
        self.stdout.write(f"{replayed.rows:,} rows are tried again{where}.")
        if replayed.retired:
            self.stdout.write(f"{replayed.retired:,} letters are about a retired model and stay.")

    def _discard(self, letters: DeadLetterQuerySet, _limit: int) -> None:
        self.stdout.write(f"{dead_letters.discard(letters):,} dead letters are discarded.")
