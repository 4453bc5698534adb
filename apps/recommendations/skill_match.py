"""Compare the skills of one candidate with those of one posting."""

from collections.abc import Sequence

from django.utils import timezone

from apps.embeddings.models import Kind
from apps.recommendations.active_ranking import active_ranking
from apps.recommendations.features import read_rows
from apps.recommendations.matches import Match
from apps.recommendations.profiles import NotFoundError
from apps.recommendations.ranking import Features, Nearness, list_weights, parts_of
from apps.recommendations.rarity import skill_rarity
from apps.skills.services import current_finder


def skill_match(
    posting_id: int,
    *,
    candidate_id: int | None = None,
    skills: Sequence[str] = (),
    private: bool = False,
) -> Match:
    """Match the skills of a stored candidate, or the named `skills`, with a posting, by skills alone.

    Without `private`, names that only candidates use are unknown. Raises NotFoundError.
    """
    sides = {Kind.POSTING: _features(Kind.POSTING, posting_id)}
    if candidate_id is not None:
        sides[Kind.CANDIDATE] = _features(Kind.CANDIDATE, candidate_id)
    else:
        finder = current_finder()
        named = (finder.resolve(name, private=private) for name in skills)
        found = frozenset(skill_id for skill_id in named if skill_id is not None)
        sides[Kind.CANDIDATE] = Features(skills=found)
    candidate, posting = sides[Kind.CANDIDATE], sides[Kind.POSTING]
    ranking = active_ranking()
    parts = parts_of(
        candidate=candidate,
        posting=posting,
        nearness=Nearness(),
        rarity=skill_rarity(),
        ranking=ranking,
        today=timezone.now().date(),
    )
    weights = list_weights(ranking, [parts], share=0.0)
    return Match.of(posting_id, parts, weights=weights, candidate=candidate, posting=posting)


def _features(kind: Kind, row_id: int) -> Features:
    """What counts of a row's skills. Raises NotFoundError."""
    row = read_rows(kind, [row_id]).get(row_id)
    if row is None:
        raise NotFoundError(f"there is no {kind} {row_id}")
    own = row.features
    return Features(skills=own.skills, title_skills=own.title_skills, stated_skills=own.stated_skills)
