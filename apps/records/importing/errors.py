from dataclasses import dataclass


class ImportFileError(Exception):
    """The file as a whole cannot be read; nothing after this point was imported. The message says why."""


@dataclass(frozen=True)
class Rejected:
    """One row that was not imported, with what would be right. `field` is empty where the row has no fields."""

    line: int
    field: str
    reason: str
    external_id: str = ""
