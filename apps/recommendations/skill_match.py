"""The skills of one candidate beside those of one posting."""

from collections.abc import Sequence

from django.utils import timezone

from apps.recommendations.features import features_of
from apps.recommendations.matches import Match
from apps.recommendations.profiles import NotFoundError
from apps.recommendations.ranking import Features, Nearness, score
from apps.skills.services import current_finder, resolve_stated


def skill_match(posting_id: int, *, candidate_id: int | None = None, skills: Sequence[str] = ()) -> Match:
    """How the skills of a stored candidate, or the named `skills`, fit a posting. Raises NotFoundError."""
    posting = features_of("posting", [posting_id]).get(posting_id)
    if posting is None:
        raise NotFoundError(f"there is no posting {posting_id}")
    if candidate_id is None:
        held = frozenset(resolve_stated(skills, finder=current_finder())[0])
    else:
        candidate = features_of("candidate", [candidate_id]).get(candidate_id)
        if candidate is None:
            raise NotFoundError(f"there is no candidate {candidate_id}")
        held = candidate.skills
    sides = {"candidate": Features(skills=held), "posting": Features(skills=posting.skills)}
    # Skills alone: no text is compared, so it has no share.
    result = score(**sides, nearness=Nearness(), text_share=0.0, today=timezone.now().date())
    return Match.of(posting_id, result, **sides, text_share=0.0)
