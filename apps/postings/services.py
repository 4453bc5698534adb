"""Writing postings."""

from collections.abc import Collection, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.caching.services import invalidate_on_commit
from apps.postings.company_lookup import company_ids
from apps.postings.inputs import PostingInput
from apps.postings.models import Posting, PostingSkill
from apps.records.hand_edits import mark
from apps.records.normalizing.company_names import folded_company
from apps.records.services import MANUAL, RecordWriter, WriteResult, stated_names, sync_found_skills
from apps.records.upsert import RecordTable
from apps.skills.finder import SkillFinder
from apps.skills.services import current_finder, spell_publicly

COLUMNS = [name for name in PostingInput.model_fields if name not in {"company", "skills"}] + [
    "company_id",
    "coordinates",
    "missing_since",
]
# A posting that was closed because its source did not hold it any more is open again when the source does.
TABLE = RecordTable(
    Posting,
    PostingSkill,
    key="posting_id",
    columns=COLUMNS,
    merged={"status": "CASE WHEN record.missing_since IS NULL THEN record.status ELSE 'open' END"},
)


def _to_columns(rows: Sequence[dict[str, Any]]) -> None:
    companies = company_ids({row["company"] for row in rows if row["company"]})
    for row in rows:
        row["company_id"] = companies.get(row.pop("company"))
        row["missing_since"] = None


def _current(record: Any, name: str) -> Any:
    if name == "company":
        return record.company.name if record.company else ""
    return stated_names(record) if name == "skills" else getattr(record, name)


def _is_same(name: str, one: Any, other: Any) -> bool:
    return bool(one == other) or (
        name == "company" and folded_company(one or "") == folded_company(other or "")
    )


WRITER = RecordWriter(TABLE, PostingInput, _to_columns, _current, {"company": "company_id"}, _is_same)


def upsert_postings(
    inputs: Sequence[PostingInput],
    *,
    found: Sequence[list[int]] | None = None,
    finder: SkillFinder | None = None,
    source_wins: Collection[str] = (),
    by: str = "",
) -> WriteResult:
    """Write postings by source and external id, in one transaction; return what became of them.

    See `RecordWriter.write` for the arguments. Companies and unlisted skills are created as needed. The
    caches that show postings are invalidated after the commit.
    """
    with transaction.atomic():
        current = current_finder()
        spell_publicly([name for form in inputs for name in form.skills], finder=current)
        result = WRITER.write(inputs, found=found, finder=finder or current, source_wins=source_wins, by=by)
        if result.changed:
            invalidate_on_commit(["postings"], result.changed)
    return result


def close_posting(posting_id: int, *, by: str) -> bool:
    """Close a posting to applications; return False if it does not exist. Idempotent.

    It stays closed whatever its source says later. The caches that show postings are invalidated after the
    commit.
    """
    return (
        bool(set_status([posting_id], status=Posting.Status.CLOSED, by=by))
        or Posting.objects.filter(pk=posting_id).exists()
    )


def after_edit(posting: Posting) -> None:
    """Follow an edit by hand: find the skills named in the text, and invalidate caches after the commit."""
    text = "\n".join(getattr(posting, name) for name in PostingInput.text_fields)
    sync_found_skills(posting, posting.skill_uses, text=text)
    invalidate_on_commit(["postings"], [posting.pk])


@transaction.atomic
def set_status(ids: Sequence[int], *, status: Posting.Status, by: str) -> list[int]:
    """Open or close postings by hand; return the ids of those that changed. Idempotent.

    The status is kept against later imports, also that of a posting that was closed because its source lacked
    it. The caches are invalidated after the commit.
    """
    changing = Posting.objects.filter(pk__in=ids).exclude(status=status, missing_since=None)
    changed = list(changing.order_by("pk").select_for_update(no_key=True))
    for posting in changed:
        if posting.source != MANUAL:
            before = posting.status if posting.missing_since is None else Posting.Status.OPEN
            posting.hand_edits = mark(posting.hand_edits, {"status": before}, by=by)
        posting.status, posting.missing_since, posting.updated_at = status, None, timezone.now()
    Posting.objects.bulk_update(
        changed, ["hand_edits", "status", "missing_since", "updated_at"], batch_size=500
    )
    ids = [posting.pk for posting in changed]
    if ids:
        invalidate_on_commit(["postings"], ids)
    return ids


@transaction.atomic
def close_missing(ids: Sequence[int]) -> int:
    """Close postings that their source no longer holds; return how many were closed.

    They open again once the source holds them.
    """
    closing = Posting.objects.filter(pk__in=ids, status=Posting.Status.OPEN)
    closed = list(closing.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True))
    now = timezone.now()
    Posting.objects.filter(pk__in=closed).update(
        status=Posting.Status.CLOSED, missing_since=now, updated_at=now
    )
    if closed:
        invalidate_on_commit(["postings"], closed)
    return len(closed)
