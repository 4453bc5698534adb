"""The skills of one candidate beside those of one posting."""

from collections.abc import Sequence

from django.db import connection
from django.utils import timezone

from apps.embeddings.kinds import tables
from apps.recommendations.matches import Match
from apps.recommendations.profiles import NotFoundError
from apps.recommendations.ranking import Features, Nearness, score
from apps.skills.services import current_finder, resolve_stated


def skill_match(posting_id: int, *, candidate_id: int | None = None, skills: Sequence[str] = ()) -> Match:
    """How the skills of a stored candidate, or the named `skills`, fit a posting; one statement. Raises NotFoundError."""
    wanted = {"posting": posting_id} | ({} if candidate_id is None else {"candidate": candidate_id})
    stored = _skills_of(wanted)
    for kind, row_id in wanted.items():
        if kind not in stored:
            raise NotFoundError(f"there is no {kind} {row_id}")
    if candidate_id is None:
        stored["candidate"] = frozenset(resolve_stated(skills, finder=current_finder())[0])
    sides = {kind: Features(skills=stored[kind]) for kind in ("candidate", "posting")}
    # Skills alone: no text is compared, so it has no share.
    result = score(**sides, nearness=Nearness(), text_share=0.0, today=timezone.now().date())
    return Match.of(posting_id, result, **sides, text_share=0.0)


def _skills_of(rows: dict[str, int]) -> dict[str, frozenset[int]]:
    """The skills of one row of each kind; a row that is gone is missing."""
    of_each = " UNION ALL ".join(
        f"""SELECT '{kind}', ARRAY(SELECT skill_id FROM {tables(kind).skill_use} WHERE {tables(kind).key} = record.id)
            FROM {tables(kind).record} AS record WHERE id = %({kind})s"""
        for kind in rows
    )
    with connection.cursor() as cursor:
        cursor.execute(of_each, rows)
        return {kind: frozenset(skills) for kind, skills in cursor.fetchall()}
