"""Read CSV, JSON Lines (plain or gzip) and Parquet as one stream of rows with line numbers."""

import codecs
import csv
import gzip
import io
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

import orjson

from apps.records.importing.errors import ImportFileError, RejectedRow
from apps.records.inputs import not_utf8

MAX_LINE_BYTES = 64 * 1024 * 1024  # a longer line is rejected without being held in memory
PARQUET_BATCH_ROWS = 500  # bounds memory
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class SourceRow:
    """One row as it stands in the file. `line` counts from 1; in a Parquet file it is the row's number."""

    line: int
    values: dict[str, Any]


Rows = Iterator[SourceRow | RejectedRow]


@contextmanager
def open_rows(
    path: Path,
    *,
    file_format: str = "",
    progress: Callable[[int], None] = lambda _: None,
    columns: Callable[[Iterable[str]], None] = lambda _: None,
) -> Iterator[Rows]:
    """Open `path` and yield an iterator of its rows, with a RejectedRow for each row that cannot be read.

    `file_format` is csv, jsonl or parquet; by default the file's name tells it. `progress` is called with the
    number of bytes read since its last call, `columns` with the names of the columns that the file declares.
    Memory does not grow with the file. Raises ImportFileError, at once or while iterating.
    """
    kind = file_format or format_of(path)
    try:
        with path.open("rb") as raw:
            if kind == "parquet":
                yield _parquet_rows(raw, progress, columns)
                return
            with _plain(raw) as plain:
                reporter = _ProgressReporter(raw, progress)
                yield reporter.over(_csv_rows(plain, columns) if kind == "csv" else _json_rows(plain))
    except OSError as error:
        raise ImportFileError(f"{path}: {error.strerror or error}") from error
    except (EOFError, zlib.error) as error:
        raise ImportFileError(f"{path}: the gzip file ends early or is damaged: {error}") from error


def format_of(path: Path) -> str:
    """Return csv, jsonl or parquet by the file's name. Raises ImportFileError for any other name."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in {".gz", ".gzip"}:
        suffixes.pop()
    kind = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
    found = kind.get(suffixes[-1] if suffixes else "")
    if found is None:
        raise ImportFileError(
            f"{path}: cannot tell the format from the name; add --format csv, jsonl or parquet "
            "(names end with .csv, .jsonl, .ndjson or .parquet; .gz may follow)"
        )
    return found


class _ProgressReporter:
    """Reports progress by the position in the raw file, which is known also for a gzip file."""

    def __init__(self, raw: IO[bytes], progress: Callable[[int], None]) -> None:
        self._raw, self._progress, self._reported = raw, progress, 0

    def over(self, rows: Rows) -> Rows:
        """Yield the rows, reporting progress along the way."""
        for count, row in enumerate(rows):
            yield row
            if count % 100 == 0:
                self._report()
        self._report()

    def _report(self) -> None:
        position = self._raw.tell()
        self._progress(position - self._reported)
        self._reported = position


@contextmanager
def _plain(raw: BinaryIO) -> Iterator[IO[bytes]]:
    start = raw.read(2)
    raw.seek(0)
    if start == GZIP_MAGIC:
        with gzip.open(raw) as unpacked:
            yield unpacked  # type: ignore[misc]  # a GzipFile reads like any binary file
    else:
        yield raw


def _json_rows(plain: IO[bytes]) -> Rows:
    line = 0
    while raw_line := plain.readline(MAX_LINE_BYTES):
        line += 1
        if not raw_line.endswith(b"\n") and len(raw_line) >= MAX_LINE_BYTES:
            while (rest := plain.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield RejectedRow(line, "", f"longer than {MAX_LINE_BYTES:,} bytes")
            continue
        if line == 1:
            raw_line = raw_line.removeprefix(codecs.BOM_UTF8)
        if raw_line.strip():
            yield _json_row(line, raw_line)


def _json_row(line: int, raw_line: bytes) -> SourceRow | RejectedRow:
    try:
        value = orjson.loads(raw_line)
    except orjson.JSONDecodeError as error:
        try:
            raw_line.decode()
        except UnicodeDecodeError as fault:
            return RejectedRow(line, "", not_utf8(raw_line[fault.start : fault.start + 1], fault.start))
        return RejectedRow(line, "", f"not JSON: {error.msg} at character {error.pos + 1}")
    if not isinstance(value, dict):
        return RejectedRow(line, "", f"not a JSON object but {type(value).__name__}")
    return SourceRow(line, value)


def _csv_rows(plain: IO[bytes], columns: Callable[[Iterable[str]], None]) -> Rows:
    csv.field_size_limit(MAX_LINE_BYTES)
    # Bytes that are not UTF-8 become lone surrogates, so that a bad row does not end the file; see _csv_row.
    text = io.TextIOWrapper(plain, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield from _csv_lines(_Lines(text), columns)
    finally:
        text.detach()  # otherwise it closes the file when it is garbage-collected


class _Lines:
    """The lines of a text. The lines of a broken row, all but the first, can be read again."""

    def __init__(self, text: Iterable[str]) -> None:
        self._text, self._returned, self._row = iter(text), deque[str](), list[str]()
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._returned.popleft() if self._returned else next(self._text)
        self._row.append(line)
        self.number += 1
        return line

    def begin_row(self) -> int:
        """Start a row and return the number of its first line."""
        self._row.clear()
        return self.number + 1

    def return_all_but_first(self) -> None:
        """Let the lines of the current row after the first be read again."""
        self._returned.extendleft(reversed(self._row[1:]))
        self.number -= max(len(self._row) - 1, 0)
        self._row.clear()


def _csv_lines(lines: _Lines, columns: Callable[[Iterable[str]], None]) -> Rows:
    reader = csv.reader(lines, strict=True)
    names = _csv_header(reader)
    columns(filter(None, names))
    while True:
        line = lines.begin_row()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # A quote that is not closed swallows the lines after it: read them again as rows.
            lines.return_all_but_first()
            yield RejectedRow(
                line, "", f"not CSV: {error}; a quote may be open, or not doubled within a cell"
            )
            continue
        if cells:
            yield _csv_row(line, names, cells)


def _csv_header(reader: Iterator[list[str]]) -> list[str]:
    try:
        names = [name.strip() for name in next(reader, [])]
        for name in names:
            name.encode()
    except csv.Error as error:
        raise ImportFileError(
            f"the first line of a CSV file must name its columns: not CSV: {error}"
        ) from error
    except UnicodeEncodeError as error:
        raise ImportFileError(
            f"the first line, which names the columns, is {_of_surrogate(error)}"
        ) from error
    if not any(names):
        raise ImportFileError("the first line of a CSV file must name its columns")
    return names


def _csv_row(line: int, names: list[str], cells: list[str]) -> SourceRow | RejectedRow:
    if len(cells) != len(names):
        return RejectedRow(line, "", f"{len(cells)} cells, but the header names {len(names)} columns")
    for name, cell in zip(names, cells, strict=True):
        try:
            cell.encode()
        except UnicodeEncodeError as error:
            return RejectedRow(line, name, _of_surrogate(error))
    return SourceRow(line, {name: cell for name, cell in zip(names, cells, strict=True) if cell != ""})


def _of_surrogate(error: UnicodeEncodeError) -> str:
    """Describe the byte for which a lone surrogate stands."""
    return not_utf8(error.object[error.start].encode("utf-8", "surrogateescape"), error.start)


def _parquet_rows(
    raw: BinaryIO, progress: Callable[[int], None], columns: Callable[[Iterable[str]], None]
) -> Rows:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(raw)
    except pa.ArrowInvalid as error:
        raise ImportFileError(f"not a Parquet file: {error}") from error
    columns(table.schema_arrow.names)
    total, size, reported, line = max(table.metadata.num_rows, 1), raw.seek(0, io.SEEK_END), 0, 0
    try:
        for batch in table.iter_batches(batch_size=PARQUET_BATCH_ROWS):
            yield from _parquet_batch(batch, line)
            line += batch.num_rows
            position = size * line // total
            progress(position - reported)
            reported = position
    except pa.ArrowException as error:
        raise ImportFileError(f"the Parquet file is damaged after row {line:,}: {error}") from error


def _parquet_batch(batch: Any, before: int) -> Rows:
    """Yield the rows of a record batch that follows `before` rows."""
    try:
        rows = batch.to_pylist()
    except (ValueError, OverflowError):  # one value cannot be converted: read the values one by one
        rows = None
    for number in range(batch.num_rows):
        line = before + number + 1
        if rows is None:
            yield _parquet_row(batch, number, line)
        else:
            yield SourceRow(line, {name: value for name, value in rows[number].items() if value is not None})


def _parquet_row(batch: Any, number: int, line: int) -> SourceRow | RejectedRow:
    values = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            value = column[number].as_py()
        except UnicodeDecodeError as error:
            return RejectedRow(line, name, not_utf8(error.object[error.start : error.start + 1], error.start))
        except (ValueError, OverflowError) as error:
            return RejectedRow(line, name, f"cannot be read: {error}")
        if value is not None:
            values[name] = value
    return SourceRow(line, values)
