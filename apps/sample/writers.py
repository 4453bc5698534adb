"""Rows to files, one row at a time: memory does not grow with the number of rows."""

import csv
import gzip
import io
import json
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import SupportsWrite

Row = dict[str, Any]

TEXT_FORMATS = ("jsonl", "csv")
FORMATS = ("jsonl", "jsonl.gz", "csv", "parquet")
ROWS_IN_GROUP = 20_000
SKILL_SEPARATOR = "; "


def format_of(name: str) -> str | None:
    """The format that a file name ends in, or None."""
    return next((known for known in FORMATS if name.endswith(f".{known}")), None)


def write_text(
    rows: Iterable[Row], stream: "SupportsWrite[str]", file_format: str, fields: Sequence[str]
) -> None:
    """Writes JSON Lines (without the keys that a row lacks) or CSV (a header, then empty cells for them)."""
    if file_format == "csv":
        write_csv(rows, stream, fields)
    else:
        write_jsonl(rows, stream)


def write_file(rows: Iterable[Row], path: Path, file_format: str, fields: Sequence[str]) -> None:
    """Writes or replaces `path`. It appears only when it is complete; the same rows give the same bytes."""
    part = path.with_name(f"{path.name}.part")
    try:
        if file_format == "parquet":
            write_parquet(rows, part, fields)
        else:
            with _text_file(part, compressed=file_format == "jsonl.gz") as stream:
                write_text(rows, stream, file_format, fields)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_jsonl(rows: Iterable[Row], stream: "SupportsWrite[str]") -> None:
    for row in rows:
        stream.write(f"{json.dumps(row, ensure_ascii=False)}\n")


def write_csv(rows: Iterable[Row], stream: "SupportsWrite[str]", fields: Sequence[str]) -> None:
    """Skills are joined by semicolons; true and false are written as in JSON."""
    table = csv.DictWriter(stream, fields, lineterminator="\n")
    table.writeheader()
    table.writerows({field: _cell(value) for field, value in row.items()} for row in rows)


def write_parquet(rows: Iterable[Row], path: Path, fields: Sequence[str]) -> None:
    """Skills are a list column; what a row lacks is null. Row groups keep memory flat for writer and reader."""
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {
        "remote": pa.bool_(),
        "experience_years": pa.int64(),
        "salary_min": pa.float64(),
        "salary_max": pa.float64(),
        "skills": pa.list_(pa.string()),
    }
    schema = pa.schema([(field, kinds.get(field, pa.string())) for field in fields])
    remaining = iter(rows)
    with parquet.ParquetWriter(path, schema, compression="zstd") as table:
        while group := list(islice(remaining, ROWS_IN_GROUP)):
            table.write_batch(pa.RecordBatch.from_pylist(group, schema=schema))


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return SKILL_SEPARATOR.join(value)
    return json.dumps(value) if isinstance(value, bool) else value


@contextmanager
def _text_file(path: Path, *, compressed: bool) -> "Iterator[io.TextIOBase]":
    if not compressed:
        with path.open("w", encoding="utf-8", newline="") as stream:
            yield stream
        return
    # Neither name nor time in the header: the same rows give the same bytes.
    with (
        path.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="") as stream,
    ):
        yield stream
