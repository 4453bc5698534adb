"""Stream JSON Lines, JSON arrays, and documents with their rows under a key (orjson and ijson)."""

import codecs
import io
from collections.abc import Iterator
from decimal import Decimal
from typing import IO, Any

import orjson

from apps.records.reading.rows import ImportFileError, Reading, ReadingOptions, Rows, SourceRow, UnreadableRow

MAX_LINE = 64 * 1024 * 1024  # bytes; a longer line is skipped, not held in memory
# Keys under which feeds put their rows, in the order in which they are looked for.
ROW_KEYS = (
    "jobs", "postings", "results", "data", "items", "content", "offers", "positions", "vacancies", "listings",
    "records", "rows", "candidates", "profiles", "value", "@graph", "itemListElement", "dataFeedElement",
    "jobPostings",
)  # fmt: skip
_REJECT_KEYS = {"line", "reasons", "row"}


def read_json_lines(binary: IO[bytes], reading: Reading) -> Rows:
    """Yield one row for each line that holds an object. A file of rejected rows gives the rows in it."""
    for line, data in enumerate(_lines(binary, reading.encoding), 1):
        if len(data) >= MAX_LINE and not data.endswith(b"\n"):
            yield UnreadableRow(line, f"longer than {MAX_LINE:,} bytes")
        elif data.strip():
            yield _json_row(line, data.removeprefix(codecs.BOM_UTF8) if line == 1 else data)


def _lines(binary: IO[bytes], encoding: str) -> Iterator[bytes]:
    """Lines as UTF-8, whatever the encoding; of a line over MAX_LINE only its beginning."""
    if encoding not in ("utf-8", "utf-8-sig", ""):
        with io.TextIOWrapper(binary, encoding=encoding, errors="strict", newline="\n") as text:
            for each in text:
                yield each.encode()
        return
    while data := binary.readline(MAX_LINE):
        yield data
        if len(data) >= MAX_LINE and not data.endswith(b"\n"):
            while (rest := binary.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                pass


def _json_row(line: int, data: bytes) -> SourceRow | UnreadableRow:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        try:
            text = data.decode()
        except UnicodeDecodeError as wrong:
            byte = data[wrong.start]
            return UnreadableRow(
                line,
                (
                    f"not UTF-8: byte 0x{byte:02x} at position {wrong.start + 1}; save the file as "
                    "UTF-8 or name its --encoding"
                ),
            )
        return UnreadableRow(line, f"not JSON: {error.msg} at character {error.pos + 1}", text.rstrip("\r\n"))
    if not isinstance(value, dict):
        return UnreadableRow(
            line, f"not a JSON object but {type(value).__name__}", data.decode().rstrip("\r\n")
        )
    if value.keys() >= _REJECT_KEYS and isinstance(value["row"], dict):
        return SourceRow(line, value["row"])
    return SourceRow(line, value)


def is_json_lines(sample: bytes) -> bool:
    """Return whether a file that begins with `sample` holds one object a line, and not one document."""
    first, _, rest = sample.lstrip().partition(b"\n")
    if not first.startswith(b"{"):
        return False
    try:
        orjson.loads(first)
    except orjson.JSONDecodeError:
        return not first.rstrip().endswith((b"{", b"[", b",")) and rest.lstrip().startswith(b"{")
    return rest.lstrip()[:1] in (b"{", b"") if rest.strip() else not _has_rows(first)


def _has_rows(document: bytes) -> bool:
    """Whether a list of objects, or an empty list, lies under a known key, at most two keys deep."""
    value = orjson.loads(document)
    inside = [value, *(each for each in value.values() if isinstance(each, dict))]
    return any(_is_rows(each.get(key)) for each in inside for key in ROW_KEYS)


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value[:3])


def read_json_document(binary: IO[bytes], options: ReadingOptions, reading: Reading) -> Rows:
    """Yield the objects of an array, also of one under a known key or `options.rows_at`; or a lone object.

    Raises ImportFileError where the document is damaged, after the rows before that place.
    """
    import ijson

    path = options.rows_at
    if not path:
        path = _find_rows(binary)
        binary.seek(0)
    reading.rows_at = path
    prefix = "" if path == "." else "item" if path == "[]" else f"{path}.item"
    number = 0
    try:
        for value in map(_plain, ijson.items(_skip_mark(binary), prefix)):
            number += 1
            if isinstance(value, dict):
                yield SourceRow(number, value)
            else:
                yield UnreadableRow(
                    number, f"not a JSON object but {type(value).__name__}", str(value)[:10_000]
                )
    except ijson.JSONError as error:
        raise ImportFileError(f"not JSON after row {number:,}: {_first_line(error)}") from error
    except UnicodeDecodeError as error:
        raise ImportFileError(
            f"not UTF-8 after row {number:,}; save the file as UTF-8 or name its --encoding"
        ) from error
    if not number and options.rows_at:
        raise ImportFileError(f"no rows at {options.rows_at!r}; write the path of a list, such as data.jobs")


def _find_rows(binary: IO[bytes]) -> str:
    """Path of the rows: "[]" for an array at the top, "." for a lone object, else dotted keys."""
    import ijson

    keys: list[str] = []
    try:
        for prefix, event, _ in ijson.parse(_skip_mark(binary)):
            if prefix == "" and event == "start_array":
                return "[]"
            if event == "start_array" and prefix and "item" not in prefix.split("."):
                keys.append(prefix)
            path = prefix.removesuffix(".item")
            is_rows = event == "start_map" and prefix.endswith(".item") and path in keys
            is_empty = event == "end_array" and keys[-1:] == [prefix]
            if (is_rows or is_empty) and path.rsplit(".", 1)[-1] in ROW_KEYS and path.count(".") <= 2:
                return str(path)
    except (ijson.JSONError, UnicodeDecodeError):
        pass
    return "."


def _skip_mark(binary: IO[bytes]) -> IO[bytes]:
    if binary.read(3) != codecs.BOM_UTF8:
        binary.seek(0)
    return binary


def _plain(value: Any) -> Any:
    """ijson gives Decimals; everything after it takes int and float as orjson gives them."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and "." not in str(value) else float(value)
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
