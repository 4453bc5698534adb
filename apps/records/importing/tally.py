"""Count what became of the rows of an import, and why."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from apps.records.importing.errors import Reason

MAX_EXAMPLE = 80  # characters of a reason that is shown
MAX_REASONS = 200  # different reasons that are counted


@dataclass
class Tally:
    """Counts of one import: `unread` are cells that were left out, `reasons` why cells and rows were."""

    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    repeated: int = 0
    rejected: int = 0
    unread: int = 0
    conflicts: int = 0
    closed: int = 0
    columns_seen: set[str] = field(default_factory=set)
    reasons: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    filled: Counter[str] = field(default_factory=Counter)

    def count(self, reason: Reason, *, line: int, rejects: bool) -> None:
        """Count one reason: alike ones together, with the first as the example."""
        kind = _general(reason.text)
        key = (reason.field, kind)
        if key not in self.reasons and len(self.reasons) >= MAX_REASONS:
            key = ("", "other reasons")
        known = self.reasons.setdefault(
            key, {"count": 0, "example": reason.text[:MAX_EXAMPLE], "line": line, "rejects": rejects}
        )
        known["count"] += 1

    def report(self) -> list[dict[str, Any]]:
        """Return the reasons, the most frequent first, as JSON."""
        found = [{"field": name, "reason": kind} | each for (name, kind), each in self.reasons.items()]
        return sorted(found, key=lambda each: -each["count"])


def _general(text: str) -> str:
    """A reason without the value in it: what stands in quotes, and numbers, differ from row to row."""
    kept, _, rest = text.partition("'")
    if rest:
        _, _, after = rest.rpartition("'")
        text = f"{kept}…{after}"
    return "".join("0" if each.isdigit() else each for each in text)[:MAX_EXAMPLE]
