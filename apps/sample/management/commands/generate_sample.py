"""`python manage.py generate_sample postings --count 2000 --out postings.jsonl`"""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from apps.sample.corpus import CANDIDATE_FIELDS, POSTING_FIELDS, candidates, postings
from apps.sample.writers import FORMATS, TEXT_FORMATS, format_of, write_file, write_text

STANDARD_OUTPUT = "-"
KINDS = {"postings": (postings, POSTING_FIELDS), "candidates": (candidates, CANDIDATE_FIELDS)}


class Command(BaseCommand):
    help = (
        "Writes a made-up corpus of job postings or candidates to a file, ready to be loaded. The same seed gives the "
        "same rows, and a larger corpus begins with the smaller one. Example: "
        "manage.py generate_sample postings --count 2000 --out postings.jsonl"
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("kind", choices=tuple(KINDS), help="what to make")
        parser.add_argument("--count", type=int, required=True, metavar="N", help="how many rows")
        parser.add_argument(
            "--seed", type=int, default=0, metavar="S", help="another seed, another corpus (default: 0)"
        )
        parser.add_argument(
            "--format", metavar="FORMAT", help=f"one of {', '.join(FORMATS)} (default: what FILE ends in)"
        )
        parser.add_argument(
            "--out",
            required=True,
            metavar="FILE",
            help="where to write; - is the standard output (jsonl and csv)",
        )
        parser.add_argument("--force", action="store_true", help="replace FILE if it exists")

    def handle(self, *args: Any, **options: Any) -> None:
        kind, count, out = options["kind"], options["count"], options["out"]
        if count < 1:
            raise CommandError(f"--count must be at least 1, not {count}.")
        if options["seed"] < 0:
            raise CommandError(f"--seed must not be negative, and {options['seed']} is.")
        file_format = _file_format(options["format"], out)
        make, fields = KINDS[kind]
        rows = _with_progress(make(count, seed=options["seed"]), kind, count)
        if out == STANDARD_OUTPUT:
            self._print(rows, file_format, fields)
            return
        path = _free_path(out, replace=options["force"])
        try:
            write_file(rows, path, file_format, fields)
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror or error}") from error
        self.stdout.write(self.style.SUCCESS(f"{count:,} {kind} in {path}"))

    def _print(self, rows: Iterator[dict[str, Any]], file_format: str, fields: tuple[str, ...]) -> None:
        try:
            write_text(rows, self.stdout, file_format, fields)
            self.stdout.flush()
        except BrokenPipeError:
            # The reader (`| head`) has seen enough; Python would complain once more when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _file_format(stated: str | None, out: str) -> str:
    known = ", ".join(FORMATS)
    file_format = stated or ("jsonl" if out == STANDARD_OUTPUT else format_of(out))
    if file_format is None:
        raise CommandError(f"{out} does not say its format: end its name in one of {known}, or add --format.")
    if file_format not in FORMATS:
        raise CommandError(f"--format must be one of {known}, not {file_format}.")
    if out == STANDARD_OUTPUT and file_format not in TEXT_FORMATS:
        raise CommandError(f"{file_format} needs a file: --out - writes {' or '.join(TEXT_FORMATS)} only.")
    return file_format


def _free_path(out: str, *, replace: bool) -> Path:
    path = Path(out)
    if path.is_dir():
        raise CommandError(f"{path} is a folder; name a file in it.")
    if path.exists() and not replace:
        raise CommandError(f"{path} exists already; add --force to replace it.")
    if not path.parent.is_dir():
        raise CommandError(f"The folder {path.parent} does not exist.")
    return path


def _with_progress(rows: Iterator[dict[str, Any]], kind: str, count: int) -> Iterator[dict[str, Any]]:
    """The same rows; a bar on standard error shows how far they are, if that is a terminal."""
    yield from tqdm(rows, total=count, desc=kind, unit=" rows", unit_scale=True, disable=None)
