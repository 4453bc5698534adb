"""Write rows to JSON Lines or CSV, one at a time: memory does not grow with the number of rows."""

import csv
import gzip
import io
import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

Row = dict[str, Any]

FORMATS = ("jsonl", "jsonl.gz", "csv")


def format_of(name: str) -> str | None:
    """Return the format that a file name ends in, or None."""
    return next((known for known in FORMATS if name.endswith(f".{known}")), None)


def write_text(
    rows: Iterable[Row], stream: "SupportsWrite[str]", file_format: str, fields: Sequence[str]
) -> None:
    """Write JSON Lines, without the keys that a row lacks, or CSV, with empty cells for them."""
    if file_format != "csv":
        for row in rows:
            stream.write(f"{json.dumps(row, ensure_ascii=False)}\n")
        return
    table = csv.DictWriter(stream, fields, lineterminator="\n")
    table.writeheader()
    table.writerows({field: _cell(value) for field, value in row.items()} for row in rows)


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return "; ".join(value)
    return json.dumps(value) if isinstance(value, bool) else value


def write_file(rows: Iterable[Row], path: Path, file_format: str, fields: Sequence[str]) -> None:
    """Write or replace `path`, which appears only when it is complete. The same rows give the same bytes."""
    part = path.with_name(f"{path.name}.part")
    try:
        with ExitStack() as stack:
            raw: Any = stack.enter_context(part.open("wb"))
            if file_format == "jsonl.gz":  # without name and time in its header
                raw = stack.enter_context(gzip.GzipFile("", "wb", 6, raw, mtime=0))
            stream = stack.enter_context(io.TextIOWrapper(raw, encoding="utf-8", newline=""))
            write_text(rows, stream, file_format, fields)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
