"""Open a file, standard input or an address: unpack it, tell its format and encoding, and read its rows."""

import io
import re
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol, cast

from apps.records.normalizing.encodings import SAMPLE, detect_encoding
from apps.records.normalizing.errors import UnreadableCellError
from apps.records.reading.json_rows import is_json_lines, read_json_document, read_json_lines
from apps.records.reading.linked_data import read_linked_data
from apps.records.reading.rows import ImportFileError, Reading, ReadingOptions, Rows, SourceRow, UnreadableRow
from apps.records.reading.spreadsheets import read_parquet, read_spreadsheet
from apps.records.reading.tables import read_table
from apps.records.reading.xml_rows import read_xml

FORMATS = ("csv", "jsonl", "json", "xml", "html", "xlsx", "parquet")
SUFFIXES = {
    ".csv": "csv", ".tsv": "csv", ".tab": "csv", ".psv": "csv", ".txt": "csv", ".jsonl": "jsonl",
    ".ndjson": "jsonl", ".json": "json", ".jsonld": "json", ".xml": "xml", ".rss": "xml", ".atom": "xml",
    ".html": "html", ".htm": "html", ".xlsx": "xlsx", ".xlsm": "xlsx", ".xls": "xlsx", ".ods": "xlsx",
    ".parquet": "parquet",
}  # fmt: skip
PACKED = {".gz", ".gzip", ".zst", ".zstd", ".zip"}
GZIP_MAGIC, ZSTD_MAGIC, ZIP_MAGIC, PARQUET_MAGIC = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"PAR1"
XLS_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# A packed file may grow to this many times its size: text packs to a tenth or so, a bomb to a thousandth.
MAX_GROWTH = 200
MIN_BOUND = 64 * 1024 * 1024  # bytes that any packed file may unpack to
MAX_IN_MEMORY = 64 * 1024 * 1024


@dataclass(frozen=True)
class _Member:
    """One file to read: the file itself, or one in a zip."""

    name: str
    binary: IO[bytes]


class Open(Protocol):
    """What gives the rows of a file, such as `open_rows`."""

    def __call__(
        self, path: Path | str, options: ReadingOptions, /, *, progress: Callable[[int], object] = ...
    ) -> AbstractContextManager[tuple[Rows, Reading]]:
        """Yield the rows of `path` and a `Reading`. Raises ImportFileError, also while iterating."""


@contextmanager
def open_rows(
    path: Path | str, options: ReadingOptions, *, progress: Callable[[int], object] = lambda _: None
) -> Iterator[tuple[Rows, Reading]]:
    """Yield the rows of `path` and a `Reading`, which is complete at the end.

    The format is told from the content and the name, the encoding from the content; gzip, zstd and zip are
    unpacked. Of a zip all files are read, one after the other. `progress` is given the bytes of the file that
    were read since its last call. Memory does not grow with the file, except for a spreadsheet. Raises
    ImportFileError, at once or while iterating.
    """
    reading = Reading()
    try:
        with (
            _raw(path) as (raw, name),
            # A reader that is left half-way must release the file before the file is closed.
            closing(_counted(_rows(raw, name, options, reading), raw, progress)) as rows,
        ):
            yield rows, reading
    except OSError as error:
        raise ImportFileError(f"{path}: {error.strerror or error}") from error
    except (EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise ImportFileError(f"{path}: the packed file ends early or is damaged: {error}") from error


@contextmanager
def _raw(path: Path | str) -> Iterator[tuple[IO[bytes], str]]:
    with Path(path).open("rb") as raw:
        yield raw, Path(path).name


def _counted(
    rows: Any, raw: IO[bytes], progress: Callable[[int], object]
) -> Generator[SourceRow | UnreadableRow, None, None]:
    """Reports how far the raw file was read, which for a packed file is what there is to show progress in."""
    reported = 0
    with closing(rows):
        for count, row in enumerate(rows):
            yield row
            if count % 100 == 0:
                with suppress(ValueError, OSError):
                    position = raw.tell()
                    progress(position - reported)
                    reported = position


def _rows(raw: IO[bytes], name: str, options: ReadingOptions, reading: Reading) -> Rows:
    start = raw.read(8)
    raw.seek(0)
    if start.startswith(ZIP_MAGIC) and not _is_spreadsheet(raw):
        yield from _zip_rows(raw, options, reading)
        return
    binary = _unpacked(raw, start)
    yield from _member_rows(_Member(_without_packing(name), binary), options, reading)


def _zip_rows(raw: IO[bytes], options: ReadingOptions, reading: Reading) -> Rows:
    with zipfile.ZipFile(raw) as archive:
        members = [each for each in archive.infolist() if _is_data(each.filename) and not each.is_dir()]
        if not members:
            raise ImportFileError("the zip holds no file that can be read")
        packed = sum(each.compress_size for each in members)
        bound = max(packed * MAX_GROWTH, MIN_BOUND)
        for each in members:
            with archive.open(each) as member:
                bounded = cast("IO[bytes]", io.BufferedReader(_Bounded(member, bound)))
                # A member is read once from front to back; what must go back works on a copy of it.
                with _seekable(bounded) as binary:
                    yield from _member_rows(_Member(each.filename, binary), options, reading)


def _is_data(name: str) -> bool:
    return not name.startswith("__MACOSX/") and not Path(name).name.startswith(".")


@contextmanager
def _seekable(binary: IO[bytes]) -> Iterator[IO[bytes]]:
    with tempfile.SpooledTemporaryFile(MAX_IN_MEMORY) as copy:
        while block := binary.read(1024 * 1024):
            copy.write(block)
        copy.seek(0)
        yield cast("IO[bytes]", copy)


def _is_spreadsheet(raw: IO[bytes]) -> bool:
    try:
        names = set(zipfile.ZipFile(raw).namelist())
    except zipfile.BadZipFile:
        return False
    finally:
        raw.seek(0)
    return (
        "xl/workbook.xml" in names
        or "xl/workbook.bin" in names
        or ("content.xml" in names and "mimetype" in names)
    )


def _unpacked(raw: IO[bytes], start: bytes) -> IO[bytes]:
    if start.startswith(GZIP_MAGIC):
        import gzip

        return _bounded(cast("IO[bytes]", gzip.GzipFile(fileobj=raw)), raw)
    if start.startswith(ZSTD_MAGIC):
        import zstandard

        return _bounded(
            cast("IO[bytes]", zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)), raw
        )
    return raw


def _bounded(unpacked: IO[bytes], raw: IO[bytes]) -> IO[bytes]:
    raw.seek(0, io.SEEK_END)
    size = raw.tell()
    raw.seek(0)
    return cast(
        "IO[bytes]", io.BufferedReader(_Bounded(unpacked, max(size * MAX_GROWTH, MIN_BOUND)), 256 * 1024)
    )


class _Bounded(io.RawIOBase):
    """A stream that refuses to give more than `bound` bytes from its beginning."""

    def __init__(self, binary: IO[bytes], bound: int) -> None:
        super().__init__()
        self._binary, self._bound, self._given = binary, bound, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def readinto(self, buffer: Any) -> int:
        # What one read of a damaged file gives before the fault is given too.
        read = getattr(self._binary, "read1", self._binary.read)
        data = read(len(buffer))
        self._given += len(data)
        if self._given > self._bound:
            raise ImportFileError(
                f"the packed file unpacks to more than {self._bound:,} bytes; unpack it first if that is "
                "right"
            )
        buffer[: len(data)] = data
        return len(data)


def _without_packing(name: str) -> str:
    path = Path(name)
    return path.stem if path.suffix.lower() in PACKED else name


def _member_rows(member: _Member, options: ReadingOptions, reading: Reading) -> Rows:
    sample, binary = _sample(member.binary)
    kind = options.file_format or _format(sample, member.name)
    reading.file_format = kind
    if kind == "parquet":
        yield from read_parquet(_whole(binary), reading, lambda _: None)
        return
    if kind == "xlsx":
        yield from read_spreadsheet(_whole(binary), options, reading)
        return
    if kind == "xml":
        yield from read_xml(binary, options, reading, sample)
        return
    try:
        reading.encoding = options.encoding or detect_encoding(sample)
        beginning = sample.decode(reading.encoding, errors="replace")
    except (UnicodeError, LookupError) as error:
        raise ImportFileError(
            f"no encoding {options.encoding!r}; write one such as utf-8, cp1252 or cp949"
        ) from error
    except UnreadableCellError as error:
        raise ImportFileError(str(error)) from error
    if kind == "csv":
        yield from read_table(binary, options, reading, beginning)
    elif kind == "html":
        yield from read_linked_data(binary, reading)
    elif kind == "jsonl" or (not options.file_format and not options.rows_at and is_json_lines(sample)):
        reading.file_format = "jsonl"
        yield from read_json_lines(binary, reading)
    else:
        yield from read_json_document(_as_utf8(_whole(binary), reading.encoding), options, reading)


def _sample(binary: IO[bytes]) -> tuple[bytes, IO[bytes]]:
    """The beginning of a stream, and the stream from its beginning."""
    sample = b""
    with suppress(EOFError, zlib.error):  # a damaged packed file says so again when its rows are read
        read = getattr(binary, "read1", binary.read)
        while len(sample) < SAMPLE and (block := read(SAMPLE - len(sample))):
            sample += block
    if binary.seekable():
        binary.seek(0)
        return sample, binary
    return sample, cast("IO[bytes]", io.BufferedReader(_Joined(sample, binary), 256 * 1024))


class _Joined(io.RawIOBase):
    """What was read already, then the rest."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        super().__init__()
        self._head, self._rest = io.BytesIO(head), rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._head.read(len(buffer)) or self._rest.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _whole(binary: IO[bytes]) -> IO[bytes]:
    """A stream in which a reader can go back; one that cannot is copied to a temporary file."""
    if binary.seekable():
        return binary
    copy = tempfile.SpooledTemporaryFile(MAX_IN_MEMORY)  # noqa: SIM115  closed with the last reference
    while block := binary.read(1024 * 1024):
        copy.write(block)
    copy.seek(0)
    return cast("IO[bytes]", copy)


def _as_utf8(binary: IO[bytes], encoding: str) -> IO[bytes]:
    """The file in UTF-8, which alone the JSON parser reads. Another encoding is decoded as a whole."""
    if encoding in ("utf-8", "utf-8-sig"):
        return binary
    try:
        return io.BytesIO(binary.read().decode(encoding).encode())
    except UnicodeDecodeError as error:
        raise ImportFileError(
            f"not {encoding} at byte {error.start:,}; name the --encoding of the file"
        ) from error


def _format(sample: bytes, name: str) -> str:
    """Tell the format from the content where it shows it, else from the name."""
    if sample.startswith(PARQUET_MAGIC):
        return "parquet"
    if sample.startswith((ZIP_MAGIC, XLS_MAGIC)):
        return "xlsx"
    head = sample[:4_000].replace(b"\x00", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    if head.startswith(b"<"):
        return "html" if re.match(rb"<(?:!doctype html|html)", head, re.IGNORECASE) else "xml"
    if head.startswith(b"{") or re.match(rb"\[\s*[{\]]", head):
        return "jsonl" if Path(name).suffix.lower() in (".jsonl", ".ndjson") else "json"
    known = SUFFIXES.get(Path(name).suffix.lower())
    if known == "jsonl" or (known == "json" and head):
        return known
    if known == "csv" or known is None:
        if not head:
            raise ImportFileError(f"{name}: the file is empty")
        return "csv"
    raise ImportFileError(
        f"{name}: the content is not {known}; name what it is with --format: {', '.join(FORMATS)}"
    )
