"""Write postings."""

from collections.abc import Sequence

from django.db import transaction
from django.db.models.functions import Now

from apps.caching.services import invalidate_on_commit
from apps.postings.inputs import PostingInput
from apps.postings.models import Company, Posting, PostingSkill
from apps.records.services import rows_with_skills, sync_found_skills
from apps.records.upsert import RecordTable, UpsertResult
from apps.skills.finder import SkillFinder

COLUMNS = [name for name in PostingInput.model_fields if name not in {"company", "skills"}] + ["company_id"]
TABLE = RecordTable(Posting, PostingSkill, key="posting_id", columns=COLUMNS)


def upsert_postings(
    inputs: Sequence[PostingInput],
    *,
    found: Sequence[list[int]] | None = None,
    finder: SkillFinder | None = None,
) -> UpsertResult:
    """Insert or replace postings by source and external id in one transaction; do not touch equal rows.

    Creates companies and unlisted skills as needed. `found` and `finder` are those of `rows_with_skills`.
    Invalidates the cached postings after the commit. No two inputs may have the same key.
    """
    with transaction.atomic():
        companies = _companies(sorted({form.company for form in inputs if form.company}))
        rows = rows_with_skills(inputs, found=found, finder=finder)
        for form, row in zip(inputs, rows, strict=True):
            del row.values["company"]
            row.values["company_id"] = companies.get(form.company)
        upserted = TABLE.upsert(rows)
        if upserted.changed:
            invalidate_on_commit(["postings"], upserted.changed)
    return upserted


def _companies(names: list[str]) -> dict[str, int]:
    known = dict(Company.objects.filter(name__in=names).values_list("name", "pk"))
    missing = [Company(name=name) for name in names if name not in known]
    if missing:
        Company.objects.bulk_create(missing, ignore_conflicts=True)
        known = dict(Company.objects.filter(name__in=names).values_list("name", "pk"))
    return known


def close_posting(posting_id: int) -> bool:
    """Close the posting; return False if it does not exist. Idempotent.

    Invalidates the cached postings after the commit.
    """
    return (
        bool(set_status([posting_id], status=Posting.Status.CLOSED))
        or Posting.objects.filter(pk=posting_id).exists()
    )


def after_edit(posting: Posting) -> None:
    """Find the skills of a posting edited by hand; invalidate the cached posting after the commit."""
    text = "\n".join(getattr(posting, name) for name in PostingInput.text_fields)
    sync_found_skills(posting, posting.skill_uses, text=text)
    invalidate_on_commit(["postings"], [posting.pk])


@transaction.atomic
def set_status(ids: Sequence[int], *, status: Posting.Status) -> list[int]:
    """Open or close postings and return the ids of those that changed. Idempotent.

    Invalidates the cached postings after the commit.
    """
    changing = Posting.objects.filter(pk__in=ids).exclude(status=status)
    changed = list(changing.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True))
    Posting.objects.filter(pk__in=changed).update(status=status, updated_at=Now())
    if changed:
        invalidate_on_commit(["postings"], changed)
    return changed
