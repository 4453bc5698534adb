"""Edits by hand are kept against imports: which fields a person changed, and what the source said of them.

`Record.hand_edits` maps a field to {"source": the value that the source gave last, "by": who, "at": when}. A
field that is not in it belongs to the source.
"""

import datetime as dt
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils import timezone

from apps.records.models import Record

# Fields that belong together: a person who corrects the city has looked at the whole place.
SALARY_AMOUNTS = frozenset({"salary_min", "salary_max", "salary_currency", "salary_period"})
GROUPS = (frozenset({"city", "region", "country", "places"}), SALARY_AMOUNTS | {"salary_text"})


@dataclass(frozen=True)
class Conflict:
    """A new value of the source for a field that a person changed. `kept`: the person's value stays."""

    source: str
    external_id: str
    field: str
    value: Any
    kept: bool


@dataclass(frozen=True)
class Settled:
    """What an import may write of a row: `held` fields stay; `edits` becomes `hand_edits`."""

    held: frozenset[str]
    edits: dict[str, Any]
    conflicts: list[Conflict]


def comparable(value: Any) -> Any:
    """Return a value as JSON holds it, to compare what a source gives now with what it gave before."""
    if isinstance(value, Decimal | float):
        return format(Decimal(str(value)).normalize(), "f")
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat()
    if isinstance(value, list | tuple):
        return sorted((comparable(each) for each in value), key=str)
    return value if isinstance(value, dict) else str(value)


def mark(edits: Mapping[str, Any], before: Mapping[str, Any], *, by: str) -> dict[str, Any]:
    """Return `edits` with a person's change of the fields of `before` (field → value before the change).

    A field that was edited before keeps the value that the source gave.
    """
    now = timezone.now().isoformat(timespec="seconds")
    return dict(edits) | {
        name: {"source": edits[name]["source"] if name in edits else comparable(value), "by": by, "at": now}
        for name, value in before.items()
    }


def release(edits: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return `edits` without those fields and their groups, so that the source writes them again."""
    released = set(names).union(*(group for group in GROUPS if not group.isdisjoint(names)))
    return {name: edit for name, edit in edits.items() if name not in released}


def _is_equal(_name: str, one: Any, other: Any) -> bool:
    return bool(one == other)


def settle(
    record: Record,
    given: Mapping[str, Any],
    *,
    current: Mapping[str, Any],
    source_wins: Collection[str],
    is_same: Callable[[str, Any, Any], bool] = _is_equal,
) -> Settled:
    """Decide which of the `given` values of the source may be written to a row that a person edited.

    `current` are the row's own values of the edited fields. Where the source says what it said before, the
    person's value stays. Where it says something new, that is a conflict: the person's value stays and the
    new one is noted, unless `source_wins` names the field (or "*"). Where both agree by now, the edit is
    over. `is_same` compares two values of a field, as `comparable` gives them.
    """
    edits: dict[str, Any] = dict(record.hand_edits)
    held: set[str] = set()
    conflicts: list[Conflict] = []
    for name, edit in record.hand_edits.items():
        if name not in given:
            held.add(name)
            continue
        value = comparable(given[name])
        if is_same(name, value, comparable(current.get(name))):
            del edits[name]
        elif is_same(name, value, edit["source"]):
            held.add(name)
        else:
            wins = name in source_wins or "*" in source_wins
            conflicts.append(Conflict(record.source, record.external_id, name, value, kept=not wins))
            if wins:
                del edits[name]
            else:
                held.add(name)
                edits[name] = edit | {"source": value}
    for group in GROUPS:
        if held & group:
            held |= group
    return Settled(frozenset(held), edits, conflicts)
