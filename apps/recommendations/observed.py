"""Ranked lists from a site's own interactions, to fit the weights of the ranking to."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from apps.embeddings.models import EmbeddingModel, Kind
from apps.recommendations.fitting import RankedList
from apps.recommendations.matching import score_rows
from apps.recommendations.models import Interaction
from apps.recommendations.profiles import NotFoundError, stored_seeker
from apps.recommendations.weights import PARTS, Ranking

MAX_CANDIDATES = 2_000  # the latest
MAX_POSTINGS = 200  # of one candidate, the latest
# A dismissed posting is a wrong answer, whatever was done before.
GAINS = {Interaction.Action.APPLIED: 2.0, Interaction.Action.SAVED: 1.0}


def observed_lists(model: EmbeddingModel, ranking: Ranking) -> Iterator[RankedList]:
    """One list for each candidate that saved or applied for some of the postings it was shown, and not all.

    Postings that were shown and then opened or dismissed are the others. Values are those of now: an edit
    since changes them.
    """
    # A part whose weight is 0 is not computed, but may earn one.
    ranking = ranking.with_weights(**{name: max(weight, 1e-9) for name, weight in ranking.weights.items()})
    for candidate_id in _candidates():
        gains = _gains(candidate_id)
        if not 0 < sum(map(bool, gains.values())) < len(gains):
            continue
        try:
            seeker = stored_seeker(Kind.CANDIDATE, candidate_id, model)
        except NotFoundError:  # deleted since
            continue
        matches = score_rows(
            Kind.POSTING, seeker, list(gains), model=model, ranking=ranking, candidate_id=candidate_id
        )
        values = [[match.parts.get(name, 0.0) for name in PARTS] for match in matches]
        yield RankedList(
            "interactions",
            seeker.terms.count,
            np.array(values),
            np.array([gains[match.row_id] for match in matches]),
        )


def _candidates() -> list[int]:
    latest = Interaction.objects.filter(action__in=list(GAINS)).order_by("-at")
    return list(dict.fromkeys(latest.values_list("candidate_id", flat=True)[: 20 * MAX_CANDIDATES]))[
        :MAX_CANDIDATES
    ]


def _gains(candidate_id: int) -> dict[int, float]:
    """The gain of each posting that the candidate acted on; 0 for one that it dismissed."""
    actions: dict[int, set[str]] = defaultdict(set)
    rows = Interaction.objects.filter(candidate_id=candidate_id).order_by("-at")
    for posting_id, action in rows.values_list("posting_id", "action")[: 4 * MAX_POSTINGS]:
        actions[posting_id].add(action)
    return {
        posting_id: 0.0
        if Interaction.Action.DISMISSED in done
        else max(GAINS.get(Interaction.Action(action), 0.0) for action in done)
        for posting_id, done in list(actions.items())[:MAX_POSTINGS]
    }
