"""Resolve the skills of records: of inputs before the upsert, and of rows edited by hand."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import Manager

from apps.records.inputs import RecordInput
from apps.records.models import Record
from apps.records.upsert import RecordRow
from apps.skills.finder import SkillFinder
from apps.skills.models import SkillUse
from apps.skills.services import add_unlisted, current_finder, find_skills, resolve_stated


def rows_with_skills(
    inputs: Sequence[RecordInput],
    *,
    found: Sequence[list[int]] | None = None,
    finder: SkillFinder | None = None,
) -> list[RecordRow]:
    """Make one row per input, with the ids of its stated skills and of those that its text names.

    `found` holds the result of `find_skills` for each input's text; without it the texts are searched here.
    Creates stated skills that the dictionary lacks as unlisted ones, in the caller's transaction.
    """
    finder = finder or current_finder()
    if found is None:
        found = find_skills([form.text() for form in inputs], finder=finder)
    finder = _add_unknown_skills(inputs, finder)
    return [_row(form, ids, finder) for form, ids in zip(inputs, found, strict=True)]


def _add_unknown_skills(inputs: Sequence[RecordInput], finder: SkillFinder) -> SkillFinder:
    """Create the stated skills that the dictionary lacks; return a finder that knows all stated skills."""
    unknown = {
        name for form in inputs if form.skills for name in resolve_stated(form.skills, finder=finder)[1]
    }
    if not unknown:
        return finder
    finder = current_finder()  # an earlier batch or another process may have added them
    _, unlisted = resolve_stated(sorted(unknown), finder=finder)
    if not unlisted:
        return finder
    add_unlisted(unlisted)
    return current_finder()


def _row(form: RecordInput, found: list[int], finder: SkillFinder) -> RecordRow:
    stated, _ = resolve_stated(form.skills, finder=finder)
    if stated:
        found = [skill_id for skill_id in found if skill_id not in stated]
    return RecordRow(form.columns(), stated, found)


def sync_found_skills(record: Record, uses: "Manager[Any]", *, text: str) -> None:
    """Find the skills in the text of a record edited by hand. Stated skills stay."""
    stated = set(uses.filter(origin=SkillUse.Origin.STATED).values_list("skill_id", flat=True))
    found = set(find_skills([text])[0]) - stated
    with transaction.atomic():
        uses.filter(origin=SkillUse.Origin.FOUND).exclude(skill_id__in=found).delete()
        known = set(uses.values_list("skill_id", flat=True))
        for skill_id in sorted(found - known):
            uses.create(skill_id=skill_id, origin=SkillUse.Origin.FOUND)
    record.refresh_from_db()  # triggers have written skills_text and content_hash
