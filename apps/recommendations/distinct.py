"""Ranked postings of which each stands for all its copies."""

from dataclasses import replace
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from apps.embeddings.models import EmbeddingModel, Kind
from apps.recommendations.copies import groups_of, in_groups
from apps.recommendations.matches import Matches
from apps.recommendations.matching import find_matches
from apps.recommendations.profiles import Seeker
from apps.recommendations.weights import Ranking

# Where copies took the places of others, it is searched again without them, at most so often in all.
MAX_SEARCHES = 3


def find_distinct_matches(
    kind: Kind,
    seeker: Seeker,
    matching: QuerySet[Any],
    *,
    model: EmbeddingModel | None,
    ranking: Ranking,
    candidate_id: int | None = None,
) -> Matches:
    """Return what `find_matches` returns; where copies filled the list, search the rest of `matching` too."""
    found = last = find_matches(
        kind, seeker, matching, model=model, ranking=ranking, candidate_id=candidate_id
    )
    depth = settings.RECOMMENDATION_DEPTH
    for _ in range(1, MAX_SEARCHES):
        is_full = len(last.items) + last.retrieval.copies >= depth
        if not is_full or not last.retrieval.copies or len(found.items) >= depth // 2:
            break
        shown = [match.row_id for match in last.items]
        groups = set(groups_of(shown).values())
        matching = matching.exclude(pk__in=in_groups(groups)).exclude(pk__in=shown)
        last = find_matches(kind, seeker, matching, model=model, ranking=ranking, candidate_id=candidate_id)
        found = replace(found, items=[*found.items, *last.items])
    return found
