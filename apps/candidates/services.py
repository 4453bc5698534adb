"""Write candidates."""

from collections.abc import Sequence

from django.db import transaction

from apps.caching.services import invalidate_on_commit
from apps.candidates.inputs import CandidateInput
from apps.candidates.models import Candidate, CandidateSkill
from apps.records.services import rows_with_skills, sync_found_skills
from apps.records.upsert import RecordTable, UpsertResult
from apps.skills.finder import SkillFinder

COLUMNS = [name for name in CandidateInput.model_fields if name != "skills"]
TABLE = RecordTable(Candidate, CandidateSkill, key="candidate_id", columns=COLUMNS)


def upsert_candidates(
    inputs: Sequence[CandidateInput],
    *,
    found: Sequence[list[int]] | None = None,
    finder: SkillFinder | None = None,
) -> UpsertResult:
    """Insert or replace candidates by source and external id in one transaction; do not touch equal rows.

    Creates unlisted skills as needed. `found` and `finder` are those of `rows_with_skills`. Invalidates the
    cached candidates after the commit. No two inputs may have the same key.
    """
    with transaction.atomic():
        upserted = TABLE.upsert(rows_with_skills(inputs, found=found, finder=finder))
        if upserted.changed:
            invalidate_on_commit(["candidates"], upserted.changed)
    return upserted


def after_edit(candidate: Candidate) -> None:
    """Find the skills of a candidate edited by hand; invalidate the cached candidate after the commit."""
    text = "\n".join(getattr(candidate, name) for name in CandidateInput.text_fields)
    sync_found_skills(candidate, candidate.skill_uses, text=text)
    invalidate_on_commit(["candidates"], [candidate.pk])
