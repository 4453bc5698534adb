"""What can be wrong with one row of a file."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Reason:
    """One thing that is wrong with a row. `field` is empty where it is the row as a whole."""

    field: str
    text: str

    def __str__(self) -> str:
        return f"{self.field}: {self.text}" if self.field else self.text


@dataclass(frozen=True)
class Rejected:
    """A row that was not imported, with all its faults, to be mended and imported again."""

    line: int
    reasons: tuple[Reason, ...]
    external_id: str = ""
    row: Any = field(default=None, compare=False)
