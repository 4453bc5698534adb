"""`python manage.py generate_sample postings --count 2000 --out postings.jsonl`"""

import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from apps.sample.corpus import CANDIDATE_FIELDS, MAKERS, POSTING_FIELDS, candidates, postings
from apps.sample.writers import FORMATS, format_of, write_file, write_text

STANDARD_OUTPUT = "-"
KINDS = {"postings": (postings, POSTING_FIELDS), "candidates": (candidates, CANDIDATE_FIELDS)}


class Command(BaseCommand):
    help = (
        "Write invented postings or candidates to a file for import_postings or import_candidates. The same "
        "seed gives the same rows, and a larger corpus begins with the smaller one. Example: "
        "manage.py generate_sample postings --count 2000 --out postings.jsonl"
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("kind", choices=tuple(KINDS), help="what to generate")
        parser.add_argument("--count", type=int, required=True, metavar="N", help="number of rows")
        parser.add_argument(
            "--seed", type=int, default=0, metavar="S", help="another seed gives other rows (default: 0)"
        )
        parser.add_argument(
            "--language", choices=tuple(MAKERS), default="en", help="of the texts (default: en)"
        )
        parser.add_argument("--format", choices=FORMATS, help="default: what FILE ends in")
        parser.add_argument("--out", required=True, metavar="FILE", help="- is the standard output")
        parser.add_argument("--force", action="store_true", help="replace FILE if it exists")

    def handle(self, *args: Any, **options: Any) -> None:
        kind, count, out = options["kind"], options["count"], options["out"]
        if count < 1:
            raise CommandError(f"--count must be at least 1, not {count}.")
        if options["seed"] < 0:
            raise CommandError(f"--seed must not be negative, not {options['seed']}.")
        file_format = options["format"] or ("jsonl" if out == STANDARD_OUTPUT else format_of(out))
        if file_format is None:
            raise CommandError(f"{out} has no known ending. Use {', '.join(FORMATS)}, or add --format.")
        make, fields = KINDS[kind]
        made = make(count, seed=options["seed"], language=options["language"])
        rows = tqdm(made, total=count, desc=kind, unit=" rows", disable=None)
        if out == STANDARD_OUTPUT:
            self._print(rows, file_format, fields)
            return
        path = Path(out)
        if path.exists() and not options["force"]:
            raise CommandError(f"{path} exists already. Add --force to replace it.")
        try:
            write_file(rows, path, file_format, fields)
        except OSError as error:
            raise CommandError(f"Cannot write {path}: {error.strerror or error}.") from error
        self.stdout.write(self.style.SUCCESS(f"{count:,} {kind} in {path}"))

    def _print(self, rows: Any, file_format: str, fields: tuple[str, ...]) -> None:
        try:
            write_text(rows, self.stdout, file_format, fields)
            self.stdout.flush()
        except BrokenPipeError:  # as with `| head`; Python would complain once more when it flushes at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
