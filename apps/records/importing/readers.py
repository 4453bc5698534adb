"""CSV, JSON Lines (plain or gzip) and Parquet as one stream of rows with their line numbers."""

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

import orjson

from apps.records.importing.errors import ImportFileError, Rejected

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
    path: Path, *, file_format: str = "", progress: Callable[[int], None] = lambda _: None
) -> Iterator[Rows]:
    """Yields the rows of `path`, with a Rejected where one cannot be read.

    `file_format` is csv, jsonl or parquet, by default told from the name. `progress` is given the octets of the
    file that were consumed since its last call. Memory does not grow with the file.
    Raises ImportFileError, at once or while iterating.
    """
    kind = file_format or format_of(path)
    try:
        with path.open("rb") as raw:
            if kind == "parquet":
                yield _parquet_rows(raw, progress)
                return
            with _plain(raw) as plain:
                counted = _Counted(raw, progress)
                yield counted.over(_csv_rows(plain) if kind == "csv" else _json_rows(plain))
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
            return Rejected(line, "", _not_utf8(octets[wrong.start : wrong.start + 1], wrong.start))
        return Rejected(line, "", f"not JSON: {error.msg} at character {error.pos + 1}")
    if not isinstance(value, dict):
        return Rejected(line, "", f"not a JSON object but {type(value).__name__}")
    return SourceRow(line, value)


def _csv_rows(plain: IO[bytes]) -> Rows:
    csv.field_size_limit(LONGEST_LINE)
    # Undecodable octets become lone surrogates, so that one bad row does not end the file; see _csv_row.
    text = io.TextIOWrapper(plain, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield from _csv_lines(csv.reader(text, strict=True))
    finally:
        text.detach()  # else it would close the file when it is collected


def _csv_lines(reader: Any) -> Rows:
    header = next(reader, None)
    if not header or not any(name.strip() for name in header):
        raise ImportFileError("the first line of a CSV file must name its columns")
    names = [name.strip() for name in header]
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Rejected(line, "", f"not CSV: {error}")
            continue
        if cells:
            yield _csv_row(line, names, cells)


def _csv_row(line: int, names: list[str], cells: list[str]) -> SourceRow | Rejected:
    if len(cells) != len(names):
        return Rejected(line, "", f"{len(cells)} cells, but the header names {len(names)} columns")
    for name, cell in zip(names, cells, strict=True):
        try:
            cell.encode()
        except UnicodeEncodeError as error:  # a lone surrogate: the octet that could not be decoded
            octet = cell[error.start].encode("utf-8", "surrogateescape")
            return Rejected(line, name, _not_utf8(octet, error.start))
    return SourceRow(line, {name: cell for name, cell in zip(names, cells, strict=True) if cell != ""})


def _not_utf8(octet: bytes, position: int) -> str:
    return f"not UTF-8: octet 0x{octet.hex()} at position {position + 1}; save the file as UTF-8"


def _parquet_rows(raw: BinaryIO, progress: Callable[[int], None]) -> Rows:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(raw)
    except pa.ArrowInvalid as error:
        raise ImportFileError(f"not a Parquet file: {error}") from error
    total, size, reported, line = max(table.metadata.num_rows, 1), raw.seek(0, io.SEEK_END), 0, 0
    for batch in table.iter_batches(batch_size=PARQUET_BATCH):
        for values in batch.to_pylist():
            line += 1
            yield SourceRow(line, {name: value for name, value in values.items() if value is not None})
        position = size * line // total
        progress(position - reported)
        reported = position
