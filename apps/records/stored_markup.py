"""Convert the HTML of rows that were stored before imports converted it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.caching.services import invalidate_on_commit
from apps.records.models import Record
from apps.records.normalizing.errors import UnreadableCellError
from apps.records.normalizing.markup import to_markdown
from apps.skills.models import SkillUse
from apps.skills.services import find_skills

BATCH = 200
MAX_ROUNDS = 5  # HTML escaped again and again, until nothing changes


@dataclass(frozen=True)
class MarkupTable:
    """The table to convert. `fields` may hold HTML; `text_fields` are searched for skills."""

    model: type[Record]
    skill_use: type[SkillUse]
    key: str
    fields: Sequence[str]
    text_fields: Sequence[str]
    namespace: str


@dataclass
class ConversionResult:
    """Counts of rows: those with `<` or `&`, those that changed, and ids of those whose HTML is too long."""

    read: int = 0
    converted: int = 0
    unreadable: list[int] = field(default_factory=list)


def convert_stored_markup(table: MarkupTable, *, dry_run: bool = False) -> ConversionResult:
    """Convert the HTML of all rows to Markdown, writing only rows that change; return counts. Idempotent.

    Each batch is one transaction, so that a stopped conversion can be started again. The skills found in the
    texts follow, and the caches that show a row are invalidated. With `dry_run`, rows are only counted.
    """
    result = ConversionResult()
    for ids in _batches(table):
        with transaction.atomic():
            # The order in which imports lock rows, so that neither can block the other for good.
            rows = table.model._default_manager.filter(pk__in=ids).order_by("source", "external_id")
            locked = list(rows if dry_run else rows.select_for_update(no_key=True, of=("self",)))
            result.read += len(locked)
            changed = [row for row in locked if _convert(row, table.fields, result)]
            result.converted += len(changed)
            if changed and not dry_run:
                _write(table, changed)
    return result


def _batches(table: MarkupTable) -> Iterator[list[int]]:
    may_have_markup = Q()
    for name in table.fields:
        may_have_markup |= Q(**{f"{name}__contains": "<"}) | Q(**{f"{name}__contains": "&"})
    rows = table.model._default_manager.filter(may_have_markup).order_by("pk").values_list("pk", flat=True)
    last = 0
    while ids := list(rows.filter(pk__gt=last)[:BATCH]):
        yield ids
        last = ids[-1]


def _convert(row: Record, fields: Sequence[str], result: ConversionResult) -> bool:
    """Convert the fields of a row in memory, and what its source said of those that a person edited."""
    try:
        converted = {name: _stable_markdown(getattr(row, name)) for name in fields}
        edits = {name: _converted_edit(row.hand_edits[name]) for name in fields if name in row.hand_edits}
    except UnreadableCellError:
        result.unreadable.append(row.pk)
        return False
    changed = any(getattr(row, name) != value for name, value in converted.items())
    changed = changed or any(row.hand_edits[name] != edit for name, edit in edits.items())
    for name, value in converted.items():
        setattr(row, name, value)
    row.hand_edits = row.hand_edits | edits
    return changed


def _converted_edit(edit: Mapping[str, Any]) -> dict[str, Any]:
    source = edit.get("source")
    return {**edit, "source": _stable_markdown(source) if isinstance(source, str) else source}


def _stable_markdown(text: str) -> str:
    for _ in range(MAX_ROUNDS):
        converted = to_markdown(text)
        if converted == text:
            break
        text = converted
    return text


def _write(table: MarkupTable, rows: list[Record]) -> None:
    now = timezone.now()
    for row in rows:
        row.updated_at = now
    manager: Any = table.model._default_manager
    manager.bulk_update(rows, [*table.fields, "hand_edits", "updated_at"])
    write_found_skills(table, rows)
    invalidate_on_commit([table.namespace], [row.pk for row in rows])


def write_found_skills(table: MarkupTable, rows: Sequence[Record]) -> set[int]:
    """Replace the found skills of many rows by those that their texts name now; keep the stated ones.

    Returns the keys of the rows whose skills changed. Belongs in a transaction that has locked the rows.
    """
    texts = ["\n".join(getattr(row, name) for name in table.text_fields) for row in rows]
    uses: Any = table.skill_use._default_manager
    known = uses.filter(**{f"{table.key}__in": [row.pk for row in rows]})
    stated: dict[int, set[int]] = {}
    found_before: dict[tuple[int, int], int] = {}
    for pk, row_id, skill_id, origin in known.values_list("pk", table.key, "skill_id", "origin"):
        if origin == SkillUse.Origin.STATED:
            stated.setdefault(row_id, set()).add(skill_id)
        else:
            found_before[row_id, skill_id] = pk
    found = {
        (row.pk, skill_id)
        for row, ids in zip(rows, find_skills(texts), strict=True)
        for skill_id in ids
        if skill_id not in stated.get(row.pk, ())
    }
    lost = {pair: pk for pair, pk in found_before.items() if pair not in found}
    uses.filter(pk__in=lost.values()).delete()
    new = sorted(found - set(found_before))
    uses.bulk_create(
        table.skill_use(**{table.key: row_id}, skill_id=skill_id, origin=SkillUse.Origin.FOUND)
        for row_id, skill_id in new
    )
    return {row_id for row_id, _ in (*new, *lost)}
