"""From validated inputs to rows ready for the upsert: skills resolved and found."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import Manager

from apps.records.inputs import RecordInput
from apps.records.models import Record
from apps.records.upsert import RecordRow
from apps.skills.finder import SkillFinder
from apps.skills.models import SkillUse
from apps.skills.services import add_unlisted, current_finder, resolve_stated


def with_skills(inputs: Sequence[RecordInput], finder: SkillFinder) -> list[RecordRow]:
    """One row for each input. Stated skills that the dictionary lacks are created as unlisted ones."""
    unknown = {
        name for form in inputs if form.skills for name in resolve_stated(form.skills, finder=finder)[1]
    }
    if unknown:
        finder = current_finder()  # which may know what an earlier batch or another process added
        _, unlisted = resolve_stated(sorted(unknown), finder=finder)
        if unlisted:
            add_unlisted(unlisted)
            finder = current_finder()
    return [_row(form, finder) for form in inputs]


def _row(form: RecordInput, finder: SkillFinder) -> RecordRow:
    stated, _ = resolve_stated(form.skills, finder=finder)
    found = form.found_skills(finder)
    if stated:
        found = [skill_id for skill_id in found if skill_id not in stated]
    return RecordRow(form.columns(), stated, found)


def last_of_each_key(inputs: Sequence[RecordInput]) -> list[RecordInput]:
    """Where a source names a row twice, the later one counts."""
    return list({(form.source, form.external_id): form for form in inputs}.values())


def sync_found_skills(record: Record, uses: "Manager[Any]", *, text: str) -> None:
    """Makes the record's found skills those that its text names now; stated ones stay. For a row edited by hand."""
    stated = set(uses.filter(origin=SkillUse.Origin.STATED).values_list("skill_id", flat=True))
    found = set(current_finder().find(text)) - stated
    with transaction.atomic():
        uses.filter(origin=SkillUse.Origin.FOUND).exclude(skill_id__in=found).delete()
        known = set(uses.values_list("skill_id", flat=True))
        for skill_id in sorted(found - known):
            uses.create(skill_id=skill_id, origin=SkillUse.Origin.FOUND)
    record.refresh_from_db()  # the triggers wrote its skills_text and content_hash
