"""What an import prints: the preview before it, and the counts, reasons and rejected rows after it."""

import textwrap
from pathlib import Path
from typing import Any

from apps.records.importing.mapping import as_toml
from apps.records.importing.session import Job, Outcome, absent_columns, loader_of
from apps.records.importing.tally import Tally
from apps.records.reading.rows import Reading, SourceRow

PREVIEWED_ROWS = 3
MAX_REASONS = 12  # that are printed
WIDTH = 100  # characters of a printed value

_FORMATS = {
    "csv": "table",
    "jsonl": "JSON Lines",
    "json": "JSON",
    "xml": "XML",
    "html": "page",
    "xlsx": "spreadsheet",
    "parquet": "Parquet",
    "documents": "documents",
}
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def print_preview(stdout: Any, job: Job) -> None:
    """Print how a file would be read: its kind, the mapping, and its first rows as they would be stored."""
    choice = job.choice
    stdout.write(
        f"{job.name}: {described(choice.reading)}, {len(choice.sample)} rows looked at, source {job.source}"
    )
    if choice.is_fixed:
        stdout.write(f"The mapping is {choice.origin}.")
    else:
        stdout.write(
            f"\nThe mapping is {choice.origin}. Keep it as a file and change what is wrong (--mapping "
            "FILE.toml):\n"
        )
        stdout.write(as_toml(choice.mapping, comments=choice.unsure))
    used = choice.mapping.columns()
    unused = sorted({column for row in choice.sample for column in row} - used)
    if unused:
        stdout.write(f"# columns not used: {', '.join(unused)}")
    loader = loader_of(job)
    shown = 0
    for number, row in enumerate(choice.sample, 1):
        read = loader.read(SourceRow(number, dict(row)))
        if read is not None and shown < PREVIEWED_ROWS:
            form, _ = read
            shown += 1
            stdout.write(f"\nRow {number} as it would be stored:")
            for name in sorted(form.model_fields_set, key=list(type(form).model_fields).index):
                stdout.write(f"  {name:17} {_shown(form.value(name))}")
    _print_reasons(stdout, loader.tally)
    stdout.write("\nNothing was stored. Leave out --preview to import it.")


def _shown(value: Any) -> str:
    return textwrap.shorten(str(value), WIDTH, placeholder=" …")


def described(reading: Reading) -> str:
    """Return in words what kind of file it is."""
    parts = [_FORMATS.get(reading.file_format, reading.file_format)]
    if reading.file_format == "csv":
        parts.append(f"{_DELIMITERS.get(reading.delimiter, repr(reading.delimiter))}")
    if reading.encoding and reading.encoding != "utf-8":
        parts.append(reading.encoding)
    if reading.sheet:
        parts.append(f"sheet {reading.sheet}")
    if reading.rows_at and reading.rows_at not in ("[]", "."):
        parts.append(f"rows at {reading.rows_at}")
    return ", ".join(parts)


def print_result(stdout: Any, stderr: Any, job: Job, outcome: Outcome, *, rejects: Path | None) -> None:
    """Print what became of a file."""
    tally = outcome.tally
    head = "would be: " if job.is_dry_run else ""
    stdout.write(
        f"{job.name}: {head}{sentence(tally)} ({tally.read / max(outcome.seconds, 1e-9):,.0f} rows/s)"
    )
    if job.choice.origin != "the mapping":
        stdout.write(f"  source {job.source}; the mapping is {job.choice.origin}")
    elif job.name:
        stdout.write(f"  source {job.source}")
    for note in (*outcome.reading.notes, *outcome.notes):
        stdout.write(f"  {note}")
    unused = sorted(tally.columns_seen - job.choice.mapping.columns())
    if tally.read and not tally.columns_seen & job.choice.mapping.columns():
        stderr.write(
            f"  no column of this file is read: it has {', '.join(sorted(tally.columns_seen))}; see --preview"
        )
    elif unused:
        stdout.write(f"  columns not used: {', '.join(unused)}")
    for absent in absent_columns(job.choice.mapping, tally):
        stderr.write(f"  {absent}; the columns are {', '.join(sorted(tally.columns_seen))}")
    _print_reasons(stderr, tally)
    for each in outcome.rejected:
        name = f" ({each.external_id})" if each.external_id else ""
        stderr.write(f"  line {each.line}{name}: {'; '.join(map(str, each.reasons))}")
    if rejects is not None:
        stderr.write(f"  all {tally.rejected:,} rejected rows, to be mended and imported again: {rejects}")


def _print_reasons(stream: Any, tally: Tally) -> None:
    report = tally.report()
    for each in report[:MAX_REASONS]:
        where = f"{each['field']}: " if each["field"] else ""
        what = "rows rejected" if each["rejects"] else "cells left out"
        stream.write(f"  {each['count']:,} {what}, {where}{each['example']} (line {each['line']})")
    if len(report) > MAX_REASONS:
        stream.write(f"  … and {len(report) - MAX_REASONS} more reasons")


def sentence(tally: Tally) -> str:
    """Return the counts in words."""
    parts = [f"{tally.inserted:,} new", f"{tally.updated:,} updated", f"{tally.unchanged:,} unchanged"]
    for count, words in (
        (tally.repeated, "repeated later in the file"),
        (tally.rejected, "rejected"),
        (tally.conflicts, "conflicts with edits by hand"),
        (tally.closed, "closed"),
    ):
        if count:
            parts.append(f"{count:,} {words}")
    return f"{tally.read:,} rows: {', '.join(parts)}"
