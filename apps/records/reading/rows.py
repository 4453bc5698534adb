"""What every reader yields."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


class ImportFileError(Exception):
    """The file cannot be read, from here on. The message says why and what to do."""


@dataclass(frozen=True)
class SourceRow:
    """One row as the file has it. `line` counts from 1; it counts rows in a format without lines."""

    line: int
    values: dict[str, Any]


@dataclass(frozen=True)
class UnreadableRow:
    """A row that cannot be read at all, with the reason. `raw` is what stands there, as far as it is text.

    `external_id` is what the row is recognised by, where that is known nevertheless.
    """

    line: int
    reason: str
    raw: str = ""
    external_id: str = ""


Rows = Iterator[SourceRow | UnreadableRow]


@dataclass(frozen=True)
class ReadingOptions:
    """How a file is to be read; what is empty is found out from the file.

    `rows_at` is the dotted path of the list of rows in a JSON document or the tag of a row in XML, `sheet`
    the name of a sheet of a spreadsheet.
    """

    file_format: str = ""
    encoding: str = ""
    delimiter: str = ""
    rows_at: str = ""
    sheet: str = ""


@dataclass
class Reading:
    """What reading found out about a file, for the report. The user can name it the next time."""

    file_format: str = ""
    encoding: str = ""
    delimiter: str = ""
    rows_at: str = ""
    sheet: str = ""
    columns: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
