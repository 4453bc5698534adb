"""Writing candidates."""

from collections.abc import Collection, Sequence
from typing import Any

from django.db import transaction

from apps.caching.services import invalidate_on_commit
from apps.candidates.inputs import CandidateInput
from apps.candidates.models import Candidate, CandidateSkill
from apps.records.services import RecordWriter, WriteResult, stated_names, sync_found_skills
from apps.records.upsert import RecordTable
from apps.skills.finder import SkillFinder

COLUMNS = [name for name in CandidateInput.model_fields if name != "skills"] + ["coordinates"]
TABLE = RecordTable(Candidate, CandidateSkill, key="candidate_id", columns=COLUMNS)


def _current(record: Any, name: str) -> Any:
    return stated_names(record) if name == "skills" else getattr(record, name)


WRITER = RecordWriter(TABLE, CandidateInput, lambda _: None, _current)


def upsert_candidates(
    inputs: Sequence[CandidateInput],
    *,
    found: Sequence[list[int]] | None = None,
    finder: SkillFinder | None = None,
    source_wins: Collection[str] = (),
    by: str = "",
) -> WriteResult:
    """Write candidates by source and external id, in one transaction; return what became of them.

    See `RecordWriter.write` for the arguments. Unlisted skills are created as needed. The caches that show
    candidates are invalidated after the commit.
    """
    with transaction.atomic():
        result = WRITER.write(inputs, found=found, finder=finder, source_wins=source_wins, by=by)
        if result.changed:
            invalidate_on_commit(["candidates"], result.changed)
    return result


def after_edit(candidate: Candidate) -> None:
    """Follow an edit by hand: find the skills named in the text, and invalidate caches after the commit."""
    text = "\n".join(getattr(candidate, name) for name in CandidateInput.text_fields)
    sync_found_skills(candidate, candidate.skill_uses, text=text)
    invalidate_on_commit(["candidates"], [candidate.pk])
