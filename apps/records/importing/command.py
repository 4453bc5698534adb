"""What `import_postings` and `import_candidates` have in common."""

import gc
import os
import sys
import textwrap
import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar, Self

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from apps.records.importing.errors import ImportFileError, Rejected
from apps.records.importing.loader import Loader, Tally, rejected_line
from apps.records.importing.mapping import (
    EXAMPLE,
    Mapping,
    MappingError,
    identity_mapping,
    read_mapping,
    with_overrides,
)
from apps.records.importing.readers import open_rows
from apps.records.input_errors import expected_values
from apps.records.inputs import RecordInput, field_names
from apps.records.upsert import Upserted

SHOWN_REJECTS = 5


class ImportCommand(BaseCommand):
    """Subclasses say which form their rows take, who writes them, and where their presets lie."""

    form: ClassVar[type[RecordInput]]
    presets: ClassVar[Path]
    requires_system_checks = ()  # they load all that serves HTTP

    def write(self) -> Callable[..., Upserted]:
        raise NotImplementedError

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        return super().create_parser(
            prog_name, subcommand, formatter_class=_Help, epilog=self._epilog(), **kwargs
        )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "files", nargs="+", type=Path, metavar="FILE", help=".csv, .jsonl, .jsonl.gz or .parquet"
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
            "--source", help="name of the source: rows are recognised by source and external_id"
        )
        parser.add_argument("--format", choices=["csv", "jsonl", "parquet"], default="", dest="file_format")
        parser.add_argument(
            "--rejects",
            type=Path,
            help="where rejected rows of all files are listed (default: FILE.rejects.jsonl)",
        )
        parser.add_argument("--no-progress", action="store_true", help="no progress bar")

    def handle(self, *args: Any, files: list[Path], **options: Any) -> None:
        mapping = self._mapping(options)
        rejected, lost = 0, dict[str, None]()  # rows, and fields in the order of their saying
        unusable: list[CommandError] = []
        with _collected_seldom(), ExitStack() as stack:
            named = stack.enter_context(_RejectsFile(options["rejects"])) if options["rejects"] else None
            for path in files:
                with named.shared() if named else _RejectsFile(_beside(path)) as rejects:
                    try:
                        tally = self._import(path, mapping, rejects, options)
                    except CommandError as error:  # the others may be fine
                        unusable.append(error)
                    else:
                        rejected += tally.rejected
                        lost |= dict.fromkeys(self._warn_of_absent(tally, mapping))
        if unusable:
            raise CommandError("\n".join(map(str, unusable)), returncode=2) from unusable[0]
        complaints = [f"{rejected:,} rows were rejected; all others are imported"] if rejected else []
        if lost:
            complaints.append(
                f"no row has the column named for {', '.join(lost)}; all valid rows are imported"
            )
        if complaints:
            raise CommandError("\n".join(complaints), returncode=1)

    def _mapping(self, options: dict[str, Any]) -> Mapping:
        names = field_names(self.form)
        pairs = [item.partition("=") for item in options["map"]]
        if bad := [name for name, sign, column in pairs if not (name and sign and column)]:
            raise CommandError(f"--map {bad[0]}: write FIELD=COLUMN, such as title='Job title'", returncode=2)
        overrides = {name.strip(): column for name, _, column in pairs}
        file = self.presets / f"{options['preset']}.toml" if options["preset"] else options["mapping"]
        try:
            if file is None:
                mapping = identity_mapping(names, overrides=overrides)
            else:
                read = read_mapping(file, names=names, preset=bool(options["preset"]))
                mapping = with_overrides(read, overrides, names=names)
        except MappingError as error:
            raise CommandError(str(error), returncode=2) from error
        if options["source"]:
            fields = {name: source for name, source in mapping.fields.items() if name != "source"}
            mapping = Mapping(fields, mapping.defaults | {"source": options["source"]})
        return mapping

    def _import(
        self, path: Path, mapping: Mapping, rejects: "_RejectsFile", options: dict[str, Any]
    ) -> Tally:
        """Imports one file and prints what became of it."""
        shown: list[Rejected] = []
        started = time.monotonic()

        def on_reject(rejected: Rejected) -> None:
            rejects.write(rejected_line(str(path), rejected))
            if len(shown) < SHOWN_REJECTS:
                shown.append(rejected)

        loader = Loader(self.form, mapping, self.write(), on_reject)
        try:
            with (
                _bar(path, hidden=options["no_progress"]) as bar,
                open_rows(
                    path,
                    file_format=options["file_format"],
                    progress=_show(bar, loader.tally),
                    columns=loader.tally.columns_seen.update,
                ) as rows,
            ):
                loader.run(rows)
        except ImportFileError as error:
            raise CommandError(f"{error}\n{_sentence(path, loader.tally)}", returncode=2) from error
        self._report(path, loader.tally, mapping, time.monotonic() - started)
        for rejected in shown:
            where = f"{rejected.field}: " if rejected.field else ""
            self.stderr.write(f"  line {rejected.line}: {where}{rejected.reason}")
        if shown:
            self.stderr.write(f"  all {loader.tally.rejected:,} rejected rows: {rejects.path}")
        return loader.tally

    def _warn_of_absent(self, tally: Tally, mapping: Mapping) -> list[str]:
        """Names each column that a person named and no row has; returns the fields that have no other one."""
        if not tally.columns_seen:  # no row could be read, or there is none
            return []
        there, lost = ", ".join(sorted(tally.columns_seen)), []
        for name, source in mapping.fields.items():
            columns = source.all_columns() if source.named_in else ()
            absent = [column for column in columns if column not in tally.columns_seen]
            for column in absent:
                self.stderr.write(f"  {source.named_in}: no row has a column {column!r}; there are {there}")
            if columns and len(absent) == len(columns):
                lost.append(name)
        return lost

    def _report(self, path: Path, tally: Tally, mapping: Mapping, seconds: float) -> None:
        self.stdout.write(f"{_sentence(path, tally)} ({tally.read / max(seconds, 1e-9):,.0f} rows/s)")
        if tally.read and not tally.columns_seen & mapping.columns():
            self.stderr.write(
                f"  no column of this file is read: it has {', '.join(sorted(tally.columns_seen))}; "
                f"see --preset, --mapping and --map"
            )
        elif unused := sorted(tally.columns_seen - mapping.columns()):
            self.stdout.write(f"  columns not used: {', '.join(unused)}")

    def _epilog(self) -> str:
        short, long = self.form.text_fields[0], self.form.text_fields[-1]
        example = textwrap.indent(EXAMPLE.replace("SHORT", short).replace("LONG", long), "  ")
        values = "".join(f"  {name}: {what}\n" for name, what in sorted(expected_values(self.form).items()))
        return (
            f"Fields: {', '.join(sorted(field_names(self.form) | {'location'}))}.\n"
            f"Some take certain values only:\n{values}\n"
            f"A mapping file (--mapping) is TOML:\n{example}\n\n"
            f"A row is recognised by source and external_id: imported again it is updated, or left alone where equal.\n"
            f"A rejected row is listed with its line and the reason; all others are imported.\n"
            f"Exit status: 0 all rows imported, 1 some rejected or a column that was named is in no row, 2 a file or an argument cannot be used."
        )


class _Help(RawDescriptionHelpFormatter):
    pass


class _RejectsFile:
    """Opened before the first row is read, so that no import ends where it cannot be written; empty, it goes again."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Self:
        try:
            self._file = self.path.open("wb")
        except OSError as error:
            raise CommandError(
                f"{self.path}: {error.strerror}: rejected rows could not be listed there; name a file with --rejects",
                returncode=2,
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if self.path.is_file() and not self.path.stat().st_size:
            self.path.unlink()

    def shared(self) -> "AbstractContextManager[Self]":
        """Itself, to be closed by whoever opened it."""
        return nullcontext(self)

    def write(self, line: bytes) -> None:
        self._file.write(line)


def _beside(path: Path) -> Path:
    """The rejects file of `path`, in the current folder where that of the file is read-only."""
    folder = path.parent if os.access(path.parent, os.W_OK) else Path()
    return folder / f"{path.name}.rejects.jsonl"


def _bar(path: Path, *, hidden: bool) -> "tqdm[Any]":
    size = path.stat().st_size if path.exists() else None
    return tqdm(
        total=size,
        unit="B",
        unit_scale=True,
        desc=path.name,
        disable=hidden or not sys.stderr.isatty(),
        leave=False,
    )


def _show(bar: "tqdm[Any]", tally: Tally) -> Callable[[int], None]:
    def advance(octets: int) -> None:
        bar.set_postfix_str(f"{tally.read:,} rows, {tally.rejected:,} rejected", refresh=False)
        bar.update(octets)

    return advance


def _sentence(path: Path, tally: Tally) -> str:
    parts = [f"{tally.inserted:,} new", f"{tally.updated:,} updated", f"{tally.unchanged:,} unchanged"]
    if tally.repeated:
        parts.append(f"{tally.repeated:,} named again later in the file")
    if tally.rejected:
        parts.append(f"{tally.rejected:,} rejected")
    return f"{path.name}: {tally.read:,} rows: {', '.join(parts)}"


@contextmanager
def _collected_seldom() -> Iterator[None]:
    """A batch makes far more than 700 objects that stay for a while: looking through them so often is wasted time."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)
