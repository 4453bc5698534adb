"""Read delimited text (comma, semicolon, tab or bar). A damaged row costs no other row."""

import csv
import io
from collections import deque
from collections.abc import Iterable, Iterator
from typing import IO, Any

from apps.records.reading.rows import ImportFileError, Reading, ReadingOptions, Rows, SourceRow, UnreadableRow

DELIMITERS = (",", ";", "\t", "|")
NAMES = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
MAX_CELL = 64 * 1024 * 1024  # characters
SNIFFED_ROWS = 30
MAX_SNIFFED = 256 * 1024  # characters


def read_table(binary: IO[bytes], options: ReadingOptions, reading: Reading, sample: str) -> Rows:
    """Yield the rows of a delimited file. Its first line names the columns.

    Columns of the same name become a list of cells.
    `sample` is the decoded beginning of the file. Raises ImportFileError where the first line names no
    columns.
    """
    csv.field_size_limit(MAX_CELL)
    reading.delimiter = options.delimiter or sniff_delimiter(sample)
    # Undecodable bytes become lone surrogates, so that one bad row does not end the file.
    text = io.TextIOWrapper(binary, encoding=reading.encoding, errors="surrogateescape", newline="")
    try:
        yield from _rows(_Lines(text), reading)
    finally:
        text.detach()  # else it would close the file when it is collected


def sniff_delimiter(sample: str) -> str:
    """Return the delimiter that splits the first rows into equally many columns; a comma if none does."""
    best, best_score = ",", 1.0
    for delimiter in DELIMITERS:
        widths = _widths(sample, delimiter)
        if not widths or widths[0] < 2:
            continue
        alike = sum(width == widths[0] for width in widths) / len(widths)
        score = alike * 1_000 + min(widths[0], 99)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _widths(sample: str, delimiter: str) -> list[int]:
    """Cells in each of the first rows, without the last, which may be cut, unless it is the only one."""
    widths: list[int] = []
    reader = csv.reader(io.StringIO(sample[:MAX_SNIFFED], newline=""), delimiter=delimiter)
    try:
        for cells in reader:
            if cells:
                widths.append(len(cells))
            if len(widths) > SNIFFED_ROWS:
                break
    except csv.Error:
        pass
    return widths[:-1] if len(widths) > 1 and len(sample) >= MAX_SNIFFED else widths


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
        """Return the number of the row's first line."""
        self._row.clear()
        return self.number + 1

    def raw_row(self) -> str:
        """Return the lines read since `begin_row`."""
        return "".join(self._row)

    def return_all_but_first(self) -> None:
        """Put back the lines after the row's first one, so that they are read as rows of their own."""
        self._returned.extendleft(reversed(self._row[1:]))
        self.number -= max(len(self._row) - 1, 0)
        self._row.clear()


def _rows(lines: _Lines, reading: Reading) -> Rows:
    reader = csv.reader(lines, delimiter=reading.delimiter, strict=True)
    names = _header(reader)
    reading.columns = list(dict.fromkeys(filter(None, names)))
    repeated = {name for name in reading.columns if names.count(name) > 1}
    if len(reading.columns) == 1 and any(sign in reading.columns[0] for sign in ";|\t"):
        reading.notes.append(
            f"the file has one column, {reading.columns[0][:60]!r}: if it should be several, name their "
            "--delimiter"
        )
    while True:
        line = lines.begin_row()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # A quote that is not closed takes in what follows: the rows there are rows again.
            raw = lines.raw_row().splitlines()[:1]
            lines.return_all_but_first()
            yield UnreadableRow(
                line,
                f"not CSV: {error}; a quote may be open, or not doubled within a cell",
                _shown(raw[0] if raw else ""),
            )
            continue
        if any(cells):
            yield _row(line, names, repeated, cells, reading)


def _header(reader: Iterator[list[str]]) -> list[str]:
    try:
        names = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise ImportFileError(f"the first line of a table must name its columns: not CSV: {error}") from error
    if not any(names):
        raise ImportFileError("the first line of a table must name its columns, and it is empty")
    if names[0].startswith(("[", "{", "<")):
        raise ImportFileError(
            f"the first line begins with {names[0][:20]!r} and names no columns; if the file is not a "
            "table, name its --format"
        )
    for name in names:
        if _undecodable(name) is not None:
            raise ImportFileError(
                "the first line, which names the columns, does not fit the encoding; name another one with "
                "--encoding"
            )
    return names


def _row(
    line: int, names: list[str], repeated: set[str], cells: list[str], reading: Reading
) -> SourceRow | UnreadableRow:
    if len(cells) > len(names) and not any(cells[len(names) :]):
        cells = cells[: len(names)]  # delimiters at the end of a line
    if len(cells) > len(names):
        return UnreadableRow(
            line,
            f"{len(cells)} cells, but {len(names)} columns: a cell that holds "
            f"{NAMES.get(reading.delimiter, 'the delimiter')} "
            "must stand in quotes",
            _shown(reading.delimiter.join(cells)),
        )
    values: dict[str, Any] = {}
    for name, cell in zip(names, cells, strict=False):
        if not name or not cell:
            continue
        if (bad := _undecodable(cell)) is not None:
            return UnreadableRow(
                line,
                f"{name}: {bad}; save the file as UTF-8 or name its --encoding",
                _shown(reading.delimiter.join(cells)),
            )
        if name in repeated:
            values.setdefault(name, []).append(cell)
        else:
            values[name] = cell
    return SourceRow(line, values)


def _undecodable(text: str) -> str | None:
    """The first byte that the encoding does not have, in words; None where all is text."""
    if text.isascii():
        return None
    for position, each in enumerate(text):
        if "\ud800" <= each <= "\udfff":
            byte = (
                f"byte 0x{ord(each) - 0xDC00:02x}"
                if "\udc80" <= each <= "\udcff"
                else "half a surrogate pair"
            )
            return f"{byte} at position {position + 1} is no character of the file's encoding"
    return None


def _shown(text: str) -> str:
    return text.rstrip("\r\n").encode("utf-8", "replace").decode()
