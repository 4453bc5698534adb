"""CSV, JSON Lines (plain or gzip) and Parquet as one stream of rows with their line numbers."""

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

from apps.records.importing.errors import ImportFileError, Rejected
from apps.records.inputs import not_utf8

LONGEST_LINE = 64 * 1024 * 1024  # octets; a longer one is skipped, not held in memory
PARQUET_BATCH = 500  # rows; also what bounds memory
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class SourceRow:
    """One row as the file has it. `line` counts from 1; of a Parquet file it is the row's number."""

    line: int
    values: dict[str, Any]


Rows = Iterator[SourceRow | Rejected]


@contextmanager
def open_rows(
    path: Path,
    *,
    file_format: str = "",
    progress: Callable[[int], None] = lambda _: None,
    columns: Callable[[Iterable[str]], None] = lambda _: None,
) -> Iterator[Rows]:
    """Yields the rows of `path`, with a Rejected where one cannot be read.

    `file_format` is csv, jsonl or parquet, by default told from the name. `progress` is given the octets of the
    file that were consumed since its last call; `columns` those of a file that declares them, also where no row has a
    value. Memory does not grow with the file.
    Raises ImportFileError, at once or while iterating.
    """
    kind = file_format or format_of(path)
    try:
        with path.open("rb") as raw:
            if kind == "parquet":
                yield _parquet_rows(raw, progress, columns)
                return
            with _plain(raw) as plain:
                counted = _Counted(raw, progress)
                yield counted.over(_csv_rows(plain, columns) if kind == "csv" else _json_rows(plain))
    except OSError as error:
        raise ImportFileError(f"{path}: {error.strerror or error}") from error
    except (EOFError, zlib.error) as error:
        raise ImportFileError(f"{path}: the gzip file ends early or is damaged: {error}") from error


def format_of(path: Path) -> str:
    """csv, jsonl or parquet, from the file's name. Raises ImportFileError."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in {".gz", ".gzip"}:
        suffixes.pop()
    kind = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
    found = kind.get(suffixes[-1] if suffixes else "")
    if found is None:
        raise ImportFileError(
            f"{path}: cannot tell the format from the name; say --format csv, jsonl or parquet "
            "(names end with .csv, .jsonl, .ndjson or .parquet; .gz may follow)"
        )
    return found


class _Counted:
    """Reports how far the raw file was read, which for a gzip file is what there is to show progress in."""

    def __init__(self, raw: IO[bytes], progress: Callable[[int], None]) -> None:
        self._raw, self._progress, self._reported = raw, progress, 0

    def over(self, rows: Rows) -> Rows:
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
    while octets := plain.readline(LONGEST_LINE):
        line += 1
        if not octets.endswith(b"\n") and len(octets) >= LONGEST_LINE:
            while (rest := plain.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                pass
            yield Rejected(line, "", f"longer than {LONGEST_LINE:,} octets")
            continue
        if line == 1:
            octets = octets.removeprefix(codecs.BOM_UTF8)
        if octets.strip():
            yield _json_row(line, octets)


def _json_row(line: int, octets: bytes) -> SourceRow | Rejected:
    try:
        value = orjson.loads(octets)
    except orjson.JSONDecodeError as error:
        try:
            octets.decode()
        except UnicodeDecodeError as wrong:
            return Rejected(line, "", not_utf8(octets[wrong.start : wrong.start + 1], wrong.start))
        return Rejected(line, "", f"not JSON: {error.msg} at character {error.pos + 1}")
    if not isinstance(value, dict):
        return Rejected(line, "", f"not a JSON object but {type(value).__name__}")
    return SourceRow(line, value)


def _csv_rows(plain: IO[bytes], columns: Callable[[Iterable[str]], None]) -> Rows:
    csv.field_size_limit(LONGEST_LINE)
    # Undecodable octets become lone surrogates, so that one bad row does not end the file; see _csv_row.
    text = io.TextIOWrapper(plain, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield from _csv_lines(_Lines(text), columns)
    finally:
        text.detach()  # else it would close the file when it is collected


class _Lines:
    """The lines of a text, of which those of a row that turns out to be none can be taken back."""

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
        """The number of its first line."""
        self._row.clear()
        return self.number + 1

    def return_all_but_first(self) -> None:
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
            # A quote that is not closed takes in what follows: the rows there are rows again.
            lines.return_all_but_first()
            yield Rejected(line, "", f"not CSV: {error}; a quote may be open, or not doubled within a cell")
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


def _csv_row(line: int, names: list[str], cells: list[str]) -> SourceRow | Rejected:
    if len(cells) != len(names):
        return Rejected(line, "", f"{len(cells)} cells, but the header names {len(names)} columns")
    for name, cell in zip(names, cells, strict=True):
        try:
            cell.encode()
        except UnicodeEncodeError as error:
            return Rejected(line, name, _of_surrogate(error))
    return SourceRow(line, {name: cell for name, cell in zip(names, cells, strict=True) if cell != ""})


def _of_surrogate(error: UnicodeEncodeError) -> str:
    """A lone surrogate stands for the octet that could not be decoded."""
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
        for batch in table.iter_batches(batch_size=PARQUET_BATCH):
            yield from _parquet_batch(batch, line)
            line += batch.num_rows
            position = size * line // total
            progress(position - reported)
            reported = position
    except pa.ArrowException as error:
        raise ImportFileError(f"the Parquet file is damaged after row {line:,}: {error}") from error


def _parquet_batch(batch: Any, before: int) -> Rows:
    """The rows of a record batch, of which `before` came before it."""
    try:
        rows = batch.to_pylist()
    except (ValueError, OverflowError):  # of one value; the others are read one by one
        rows = None
    for number in range(batch.num_rows):
        line = before + number + 1
        if rows is None:
            yield _parquet_row(batch, number, line)
        else:
            yield SourceRow(line, {name: value for name, value in rows[number].items() if value is not None})


def _parquet_row(batch: Any, number: int, line: int) -> SourceRow | Rejected:
    values = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            value = column[number].as_py()
        except UnicodeDecodeError as error:
            return Rejected(line, name, not_utf8(error.object[error.start : error.start + 1], error.start))
        except (ValueError, OverflowError) as error:
            return Rejected(line, name, f"cannot be read: {error}")
        if value is not None:
            values[name] = value
    return SourceRow(line, values)
