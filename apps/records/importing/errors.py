"""What can go wrong with a file and with a row."""

from dataclasses import dataclass


class ImportFileError(Exception):
    """The file cannot be read from this point on; the rows before it are imported."""


@dataclass(frozen=True)
class RejectedRow:
    """A row that was not imported, and why. `field` is empty where the fault is not that of one field."""

    line: int
    field: str
    reason: str
    external_id: str = ""
