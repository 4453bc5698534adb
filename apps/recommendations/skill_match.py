"""Compare the skills of one candidate with those of one posting."""

from collections.abc import Sequence

from django.db import connection
from django.utils import timezone
from psycopg.sql import SQL, Literal, Placeholder

from apps.embeddings.kinds import tables
from apps.recommendations.matches import Match
from apps.recommendations.profiles import NotFoundError
from apps.recommendations.ranking import Features, Nearness, score
from apps.skills.services import current_finder


def skill_match(
    posting_id: int,
    *,
    candidate_id: int | None = None,
    skills: Sequence[str] = (),
    private: bool = False,
) -> Match:
    """Match the skills of a stored candidate, or the named `skills`, with a posting, in one statement.

    Without `private`, names that only candidates use are unknown. Raises NotFoundError.
    """
    wanted = {"posting": posting_id} | ({} if candidate_id is None else {"candidate": candidate_id})
    stored = _skills_of(wanted)
    for kind, row_id in wanted.items():
        if kind not in stored:
            raise NotFoundError(f"there is no {kind} {row_id}")
    if candidate_id is None:
        finder = current_finder()
        named = (finder.resolve(name, private=private) for name in skills)
        stored["candidate"] = frozenset(skill_id for skill_id in named if skill_id is not None)
    sides = {kind: Features(skills=stored[kind]) for kind in ("candidate", "posting")}
    # Only skills: no text is compared, so text has no share.
    result = score(**sides, nearness=Nearness(), text_share=0.0, today=timezone.now().date())
    return Match.of(posting_id, result, **sides, text_share=0.0)


def _skills_of(rows: dict[str, int]) -> dict[str, frozenset[int]]:
    """The skills of one row of each kind, without rows that no longer exist."""
    statement = SQL(" UNION ALL ").join(
        SQL(
            "SELECT {kind}, ARRAY(SELECT skill_id FROM {skill_use} WHERE {key} = record.id) "
            "FROM {record} AS record WHERE id = {id}"
        ).format(**tables(kind).sql, kind=Literal(str(kind)), id=Placeholder(kind))
        for kind in rows
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, rows)
        return {kind: frozenset(skills) for kind, skills in cursor.fetchall()}
