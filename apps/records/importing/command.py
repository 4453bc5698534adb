"""What `import_postings` and `import_candidates` have in common."""

import os
import re
import shutil
import sys
import tempfile
import textwrap
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet
from tqdm import tqdm

from apps.records.importing.loader import Write
from apps.records.importing.mapping import (
    EXAMPLE,
    VIRTUAL_FIELDS,
    Mapping,
    MappingError,
    as_toml,
    read_mapping,
)
from apps.records.importing.mapping_choice import Choice, choose
from apps.records.importing.report import print_preview, print_result
from apps.records.importing.session import Job, Outcome, run_job
from apps.records.input_errors import expected_values as needed
from apps.records.inputs import RecordInput, field_names
from apps.records.models import Import
from apps.records.reading.fetching import Validators, fetch, is_address
from apps.records.reading.opening import FORMATS, Open, open_rows
from apps.records.reading.rows import ImportFileError, ReadingOptions

MAX_SOURCE = 64  # characters


class ImportCommand(BaseCommand):
    """Subclasses say which kind and form their rows have, who writes them, and where their presets lie."""

    kind: ClassVar[str]
    form: ClassVar[type[RecordInput]]
    presets: ClassVar[Path]
    requires_system_checks = ()  # they load all that serves HTTP

    def write(self) -> Write:
        """Return the upsert service."""
        raise NotImplementedError

    def open_rows_of(self, source: str) -> QuerySet[Any]:
        """Return the rows of a source that a complete file should hold."""
        raise NotImplementedError

    def open_of(self, path: Path | str, options: dict[str, Any]) -> Open:
        """Return what reads the rows of a file; a subclass may read other kinds of file."""
        return open_rows

    def choice_of(
        self, path: Path | str, named: Mapping | None, options: dict[str, Any], reading: ReadingOptions
    ) -> Choice:
        """Return the mapping of a file."""
        return choose(
            path,
            kind=self.kind,
            names=field_names(self.form),
            named=named,
            presets=self.presets,
            overrides=self._overrides(options),
            options=reading,
        )

    def source_of(self, name: str) -> str:
        """Return the source of a file that names none."""
        return source_of(name)

    def close(self, row_ids: list[int]) -> int | None:
        """Close the rows that a complete file lacks; return how many, None if they are only reported."""
        return None

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        return super().create_parser(
            prog_name, subcommand, formatter_class=_Help, epilog=self._epilog(), **kwargs
        )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "files",
            nargs="+",
            metavar="FILE",
            help=(
                "a file, an http(s) address, or - for standard input; tables, JSON, XML, spreadsheets, "
                "Parquet, packed or not"
            ),
        )
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--preset", choices=sorted(path.stem for path in self.presets.glob("*.toml")))
        how.add_argument(
            "--mapping", type=Path, metavar="FILE.toml", help="fits foreign columns to the fields; see below"
        )
        parser.add_argument(
            "--map", action="append", default=[], metavar="FIELD=COLUMN", help="one column; may be repeated"
        )
        parser.add_argument(
            "--source",
            help=(
                "name of the source: rows are recognised by source and external_id (default: the file's name)"
            ),
        )
        parser.add_argument(
            "--preview",
            action="store_true",
            help="print the mapping and the first rows as they would be stored; store nothing",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="print all counts, as if it were imported; store nothing"
        )
        parser.add_argument("--yes", action="store_true", help="take a guessed mapping without asking")
        parser.add_argument(
            "--complete",
            action="store_true",
            help="the file holds all rows of the source: open postings that it lacks are closed",
        )
        parser.add_argument(
            "--max-closed",
            type=float,
            default=0.3,
            metavar="SHARE",
            help="with --complete: close no more than this share of the open rows (default 0.3)",
        )
        parser.add_argument(
            "--replace", action="store_true", help="every field is given: what a row does not hold is emptied"
        )
        parser.add_argument(
            "--empty-means-delete",
            action="store_true",
            help="an empty cell empties its field; otherwise it changes nothing",
        )
        parser.add_argument(
            "--dates",
            choices=["dmy", "mdy"],
            help="order of day and month in dates such as 11/03/2026 (default: told from the file)",
        )
        parser.add_argument("--format", choices=FORMATS, default="", dest="file_format")
        parser.add_argument(
            "--encoding", default="", help="such as cp1252, cp949 or shift_jis (default: told from the file)"
        )
        parser.add_argument("--delimiter", default="", help="of a table (default: told from the file)")
        parser.add_argument(
            "--rows-at",
            default="",
            metavar="PATH",
            help="where a JSON document holds its rows, such as data.jobs; the tag of a row in XML",
        )
        parser.add_argument(
            "--sheet", default="", help="of a spreadsheet (default: the first that is not empty)"
        )
        parser.add_argument(
            "--allow-private-addresses",
            action="store_true",
            help="fetch from addresses of private networks too",
        )
        parser.add_argument(
            "--rejects",
            type=Path,
            help="where rejected rows of all files are written (default: FILE.rejects.jsonl)",
        )
        parser.add_argument("--no-progress", action="store_true", help="no progress bar")

    def handle(self, *args: Any, files: list[str], **options: Any) -> None:
        named = self._named_mapping(options)
        outcomes: list[tuple[str, Outcome]] = []
        unusable: list[str] = []
        rejects = _Rejects(options["rejects"])
        for name in files:
            try:
                with self._file(name, options) as path:
                    if path is None:
                        self.stdout.write(f"{name}: not changed since it was fetched last; nothing was read")
                        continue
                    outcome = self._import(name, path, named, options, rejects)
            except ImportFileError as error:
                unusable.append(str(error) if str(error).startswith(name) else f"{name}: {error}")
            else:
                outcomes += [(name, outcome)] if outcome else []
        if unusable:
            raise CommandError("\n".join(unusable), returncode=2)
        complaints = [
            f"{name}: {complaint}" if len(files) > 1 else complaint
            for name, outcome in outcomes
            for complaint in outcome.complaints
        ]
        if complaints:
            raise CommandError("\n".join(complaints), returncode=1)

    def _named_mapping(self, options: dict[str, Any]) -> Mapping | None:
        names = field_names(self.form)
        file = self.presets / f"{options['preset']}.toml" if options["preset"] else options["mapping"]
        try:
            return read_mapping(file, names=names, preset=bool(options["preset"])) if file else None
        except MappingError as error:
            raise CommandError(str(error), returncode=2) from error

    def _overrides(self, options: dict[str, Any]) -> dict[str, str]:
        pairs = [item.partition("=") for item in options["map"]]
        if bad := [name for name, sign, column in pairs if not (name and sign and column)]:
            raise CommandError(f"--map {bad[0]}: write FIELD=COLUMN, such as title='Job title'", returncode=2)
        return {name.strip(): column for name, _, column in pairs}

    @contextmanager
    def _file(self, name: str, options: dict[str, Any]) -> Iterator[Path | str | None]:
        """The file to read; None where an address gives the same as the last time."""
        if name == "-":  # read several times: to tell its columns, the order of its dates, and to import it
            with tempfile.NamedTemporaryFile(prefix="standard-input-") as copy:
                shutil.copyfileobj(sys.stdin.buffer, copy)
                copy.flush()
                yield Path(copy.name)
            return
        if not is_address(name):
            yield Path(name)
            return
        last = Import.objects.filter(kind=self.kind, file=name, state=Import.State.FINISHED).first()
        is_trial = options["preview"] or options["dry_run"]
        known = Validators(last.etag, last.last_modified) if last and not is_trial else None
        self._validators = Validators()
        with fetch(
            name,
            known=known,
            max_bytes=settings.IMPORT_MAX_DOWNLOAD_MB * 1024 * 1024,
            allow_private=options["allow_private_addresses"] or settings.IMPORT_ALLOW_PRIVATE_ADDRESSES,
        ) as fetched:
            self._validators = fetched.validators
            yield fetched.path

    def _import(
        self, name: str, path: Path | str, named: Mapping | None, options: dict[str, Any], rejects: "_Rejects"
    ) -> Outcome | None:
        reading = ReadingOptions(
            options["file_format"],
            options["encoding"],
            _delimiter(options["delimiter"]),
            options["rows_at"],
            options["sheet"],
        )
        try:
            choice = self.choice_of(path, named, options, reading)
        except MappingError as error:
            raise CommandError(str(error), returncode=2) from error
        choice = replace(choice, mapping=self._with_options(choice, name, options))
        job = Job(
            kind=self.kind,
            form=self.form,
            write=self.write(),
            name=name,
            path=path,
            choice=choice,
            reading=reading,
            by=_who(),
            is_dry_run=options["dry_run"],
            replaces=options["replace"],
            complete=options["complete"],
            max_closed=options["max_closed"],
            validators=getattr(self, "_validators", Validators()),
            open=self.open_of(path, options),
            open_rows_of=self.open_rows_of,
            close=self.close,
        )
        if options["preview"]:
            print_preview(self.stdout, job)
            return None
        self._confirm(choice, name, options)
        with rejects.of(name) as file, _bar(name, path, hidden=options["no_progress"]) as bar:
            outcome = run_job(job, on_reject=file.write, progress=bar.update)
        print_result(
            self.stdout, self.stderr, job, outcome, rejects=file.path if outcome.tally.rejected else None
        )
        return outcome

    def _with_options(self, choice: Choice, name: str, options: dict[str, Any]) -> Mapping:
        """The chosen mapping with what the command line says, and a source in any case."""
        mapping, sample = choice.mapping, choice.sample
        settings_of_file = mapping.options
        if options["dates"]:
            settings_of_file = replace(settings_of_file, dates=options["dates"])
        if options["empty_means_delete"]:
            settings_of_file = replace(settings_of_file, empty_means_delete=frozenset({"*"}))
        mapping = replace(mapping, options=settings_of_file)
        if options["source"]:
            return mapping.with_source(options["source"])
        has_column = "source" in mapping.fields and any(
            mapping.fields["source"].is_present(row) for row in sample
        )
        if "source" in mapping.defaults or has_column:
            return mapping
        return mapping.with_source(self.source_of(name))

    def _confirm(self, choice: Choice, name: str, options: dict[str, Any]) -> None:
        """Ask where a guess is unsure; without a terminal it takes --yes."""
        if not choice.unsure or options["yes"] or options["dry_run"]:
            return
        self.stdout.write(as_toml(choice.mapping, comments=choice.unsure))
        doubts = "; ".join(f"{field}: {reason}" for field, reason in choice.unsure.items())
        if not sys.stdin.isatty() or name == "-":
            raise CommandError(
                (
                    f"{name}: the mapping above is a guess. {doubts}. Look at it with --preview, and "
                    "take it with --yes or name columns with --map."
                ),
                returncode=2,
            )
        if input(f"The mapping above is a guess. {doubts}. Import with it? [y/N] ").strip().lower() not in (
            "y",
            "yes",
        ):
            raise CommandError("Nothing was imported.", returncode=2)

    def _epilog(self) -> str:
        short, long = self.form.text_fields[0], self.form.text_fields[-1]
        example = textwrap.indent(EXAMPLE.replace("SHORT", short).replace("LONG", long), "  ")
        values = "".join(f"  {name}: {what}\n" for name, what in sorted(needed(self.form).items()))
        names = (field_names(self.form) | VIRTUAL_FIELDS) - {"places", "salary_text"}
        return (
            f"Fields: {', '.join(sorted(names))}.\n"
            f"Some take certain values only:\n{values}\n"
            f"A mapping file (--mapping) is TOML:\n{example}\n\n"
            "Without a mapping, columns are recognised by their names and content; --preview prints the "
            "guess as a mapping file.\n"
            "A row is recognised by source and external_id: imported again it is updated, or left alone "
            "where equal.\n"
            "A field that the file does not carry stays as it is, and so does one that a person edited.\n"
            "A cell that cannot be read is left out and counted; a rejected row is written to the rejects "
            "file with its reasons,\n"
            "where it can be mended and imported again.\n"
            "Exit status: 0 all rows imported, 1 some rejected, 2 a file or an argument cannot be used."
        )


class _Help(RawDescriptionHelpFormatter):
    pass


def _who() -> str:
    return os.environ.get("USER") or os.environ.get("LOGNAME") or "command line"


def _delimiter(text: str) -> str:
    return {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "bar": "|", "pipe": "|"}.get(text, text)


def source_of(name: str) -> str:
    """Return the name of the source that a file's name or address stands for."""
    if is_address(name):
        parts = urlsplit(name)
        text = f"{parts.hostname}{parts.path}"
    else:
        text = "standard-input" if name == "-" else Path(name).name
    return as_source(re.sub(r"(\.[A-Za-z0-9]{1,8})+$", "", text) or text)


def as_source(text: str) -> str:
    """Return `text` as the name of a source: no blanks or punctuation but dots and hyphens."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-")[:MAX_SOURCE] or "import"


class _Rejects:
    """The rejects files of one command: one next to each file, or the one that was named."""

    def __init__(self, named: Path | None) -> None:
        self._named, self._started = named, False

    @contextmanager
    def of(self, name: str) -> Iterator["_RejectsFile"]:
        """Open the rejects file before the first row is read; delete it in the end if it is empty.

        So an import that could not write its rejects does not begin.
        """
        path = self._named or _rejects_path(name)
        try:
            descriptor = os.open(
                path,
                os.O_WRONLY | os.O_CREAT | (os.O_APPEND if self._named and self._started else os.O_TRUNC),
                0o600,
            )
        except OSError as error:
            raise CommandError(
                (
                    f"Cannot write the rejects file {path}: {error.strerror}. Choose another path with "
                    "--rejects."
                ),
                returncode=2,
            ) from error
        self._started = True
        with os.fdopen(descriptor, "wb") as file:
            yield _RejectsFile(path, file)
        if path.is_file() and not path.stat().st_size:
            path.unlink()


class _RejectsFile:
    def __init__(self, path: Path, file: Any) -> None:
        self.path, self._file = path, file

    def write(self, line: bytes) -> None:
        self._file.write(line)


def _rejects_path(name: str) -> Path:
    """The path of the rejects file of `name`: next to it, or in the current folder if that is read-only."""
    if name == "-" or is_address(name):
        return Path(f"{source_of(name)}.rejects.jsonl")
    path = Path(name) if Path(name).name else Path(name).resolve()
    folder = path.parent if os.access(path.parent, os.W_OK) else Path()
    return folder / f"{path.name}.rejects.jsonl"


def _bar(name: str, path: Path | str, *, hidden: bool) -> "tqdm[Any]":
    size = path.stat().st_size if isinstance(path, Path) and path.is_file() else None
    return tqdm(
        total=size,
        unit="B",
        unit_scale=True,
        desc=Path(name).name,
        disable=hidden or not sys.stderr.isatty(),
        leave=False,
    )
