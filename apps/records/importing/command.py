"""The base of the commands `import_postings` and `import_candidates`."""

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

from apps.records.importing.errors import ImportFileError, RejectedRow
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
from apps.records.upsert import UpsertResult

MAX_SHOWN_REJECTS = 5


class ImportCommand(BaseCommand):
    """Imports files. Subclasses name the input of a row, the service that writes rows, and their presets."""

    form: ClassVar[type[RecordInput]]
    presets: ClassVar[Path]
    requires_system_checks = ()  # they load everything that serves HTTP

    def write(self) -> Callable[..., UpsertResult]:
        """Return the service that writes a batch of inputs."""
        raise NotImplementedError

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        return super().create_parser(
            prog_name,
            subcommand,
            formatter_class=RawDescriptionHelpFormatter,
            epilog=self._epilog(),
            **kwargs,
        )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "files", nargs="+", type=Path, metavar="FILE", help=".csv, .jsonl, .jsonl.gz or .parquet"
        )
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--preset", choices=sorted(path.stem for path in self.presets.glob("*.toml")))
        how.add_argument(
            "--mapping", type=Path, metavar="FILE.toml", help="maps columns to fields; see below"
        )
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="FIELD=COLUMN",
            help="maps one column; may be repeated",
        )
        parser.add_argument("--source", help="name of the source; source and external_id identify a row")
        parser.add_argument("--format", choices=["csv", "jsonl", "parquet"], default="", dest="file_format")
        parser.add_argument(
            "--rejects",
            type=Path,
            help="the file that lists the rejected rows of all files (default: FILE.rejects.jsonl)",
        )
        parser.add_argument("--no-progress", action="store_true", help="show no progress bar")

    def handle(self, *args: Any, files: list[Path], **options: Any) -> None:
        mapping = self._mapping(options)
        rejected, lost = 0, dict[str, None]()  # rows; fields without their column, in order
        unusable: list[CommandError] = []
        with _rare_garbage_collection(), ExitStack() as stack:
            named = stack.enter_context(_RejectsFile(options["rejects"])) if options["rejects"] else None
            for path in files:
                with named.shared() if named else _RejectsFile(_rejects_path(path)) as rejects:
                    try:
                        tally = self._import(path, mapping, rejects, options)
                    except CommandError as error:  # report it after the other files
                        unusable.append(error)
                    else:
                        rejected += tally.rejected
                        lost |= dict.fromkeys(self._warn_of_absent(tally, mapping))
        if unusable:
            raise CommandError("\n".join(map(str, unusable)), returncode=2) from unusable[0]
        faults = [f"{rejected:,} rows were rejected; all others are imported"] if rejected else []
        if lost:
            faults.append(f"no row has the column named for {', '.join(lost)}; all valid rows are imported")
        if faults:
            raise CommandError("\n".join(faults), returncode=1)

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
        """Import one file and print the outcome."""
        shown: list[RejectedRow] = []
        started = time.monotonic()

        def on_reject(rejected: RejectedRow) -> None:
            rejects.write(rejected_line(str(path), rejected))
            if len(shown) < MAX_SHOWN_REJECTS:
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
        """Report each column that a person named and no row has; return the fields without any column."""
        if not tally.columns_seen:  # no row could be read, or there is none
            return []
        there, lost = ", ".join(sorted(tally.columns_seen)), []
        for name, source in mapping.fields.items():
            columns = source.all_columns() if source.named_in else ()
            absent = [column for column in columns if column not in tally.columns_seen]
            for column in absent:
                self.stderr.write(
                    f"  {source.named_in}: no row has a column {column!r}; the columns are {there}"
                )
            if columns and len(absent) == len(columns):
                lost.append(name)
        return lost

    def _report(self, path: Path, tally: Tally, mapping: Mapping, seconds: float) -> None:
        self.stdout.write(f"{_sentence(path, tally)} ({tally.read / max(seconds, 1e-9):,.0f} rows/s)")
        if tally.read and not tally.columns_seen & mapping.columns():
            self.stderr.write(
                f"  no column of this file is a field: it has {', '.join(sorted(tally.columns_seen))}. "
                f"Map them with --preset, --mapping or --map."
            )
        elif unused := sorted(tally.columns_seen - mapping.columns()):
            self.stdout.write(f"  columns not used: {', '.join(unused)}")

    def _epilog(self) -> str:
        short, long = self.form.text_fields[0], self.form.text_fields[-1]
        example = textwrap.indent(EXAMPLE.replace("SHORT", short).replace("LONG", long), "  ")
        values = "".join(f"  {name}: {what}\n" for name, what in sorted(expected_values(self.form).items()))
        return (
            f"Fields: {', '.join(sorted(field_names(self.form) | {'location'}))}.\n"
            f"Fields with restricted values:\n{values}\n"
            f"A mapping file (--mapping) is TOML:\n{example}\n\n"
            "Source and external_id identify a row. Importing it again updates it where it differs.\n"
            "A rejected row is listed with its line and the reason; all others are imported.\n"
            "Exit status: 0 if all rows are imported; 1 if rows are rejected or no row has a named column;\n"
            "2 if a file or an argument is unusable."
        )


class _RejectsFile:
    """The file of rejected rows, opened before the first row is read and deleted if it stays empty."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Self:
        try:
            self._file = self.path.open("wb")
        except OSError as error:
            raise CommandError(
                f"Cannot write the rejects file {self.path}: {error.strerror}. "
                "Choose another path with --rejects.",
                returncode=2,
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if self.path.is_file() and not self.path.stat().st_size:
            self.path.unlink()

    def shared(self) -> "AbstractContextManager[Self]":
        """Return a context of this file that does not close it."""
        return nullcontext(self)

    def write(self, line: bytes) -> None:
        """Append one line."""
        self._file.write(line)


def _rejects_path(path: Path) -> Path:
    """Return the path next to the file, or in the current folder if the file's folder is read-only."""
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
    def advance(count: int) -> None:
        bar.set_postfix_str(f"{tally.read:,} rows, {tally.rejected:,} rejected", refresh=False)
        bar.update(count)

    return advance


def _sentence(path: Path, tally: Tally) -> str:
    parts = [f"{tally.inserted:,} new", f"{tally.updated:,} updated", f"{tally.unchanged:,} unchanged"]
    if tally.repeated:
        parts.append(f"{tally.repeated:,} repeated later in the file")
    if tally.rejected:
        parts.append(f"{tally.rejected:,} rejected")
    return f"{path.name}: {tally.read:,} rows: {', '.join(parts)}"


@contextmanager
def _rare_garbage_collection() -> Iterator[None]:
    """Collect garbage less often: a batch allocates far more objects than the default threshold of 700."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)
