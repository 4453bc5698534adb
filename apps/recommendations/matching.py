"""From a seeker to ranked matches: retrieve rows by vector, full text and skills, fuse them by rank, score
them."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, QuerySet
from django.utils import timezone

from apps.embeddings.models import EmbeddingModel, Kind
from apps.recommendations import fulltext
from apps.recommendations.features import features_of
from apps.recommendations.fusion import fuse, rank_weight, text_share
from apps.recommendations.interactions import interest
from apps.recommendations.matches import Match, Matches, Retrieval
from apps.recommendations.profiles import Seeker
from apps.recommendations.ranking import Nearness, score
from apps.recommendations.retrieval import Neighbours, cosines, nearest
from apps.recommendations.subqueries import Subquery

# Rows found by the rarest terms, for each that is left once all terms are scored.
TEXT_OVERSAMPLING = 3


@dataclass(frozen=True)
class TextResult:
    """Rows with their text scores, and the query and its idf to score others."""

    query: fulltext.TextQuery
    hits: fulltext.TextHits
    scores: dict[int, float]

    @property
    def rows(self) -> list[int]:
        """Rows by text score, the best first."""
        return sorted(self.scores, key=lambda row: (-self.scores[row], row))


def find_matches(
    kind: Kind,
    seeker: Seeker,
    matching: QuerySet[Any],
    *,
    model: EmbeddingModel | None,
    candidate_id: int | None = None,
) -> Matches:
    """Return the best RECOMMENDATION_DEPTH rows of `matching` for a seeker, or all of them where fewer match.

    Rows without a vector are found by full text; where all lists together are too short, the newest rows fill
    up. A seeker without a vector is matched by full text and skills, and the result marked degraded.
    `candidate_id`: whose saved postings count, for a seeker that is a stored candidate.
    """
    clock, depth = _Clock(), settings.RECOMMENDATION_DEPTH
    near: Neighbours | None = None
    by_skills: list[int] = []
    if model is not None and seeker.vector is not None:
        with clock.lap("vector"):
            near = nearest(kind, seeker.vector, model=model, matching=matching, k=depth)
    else:
        with clock.lap("skills"):
            by_skills = _by_skills(matching, seeker.features.skills, k=depth)
    with clock.lap("text"):
        text = search_text(kind, seeker, matching, k=depth)
    terms = seeker.terms.count
    if near is not None:
        share = text_share(terms)
        ids = fuse([row.row_id for row in near.rows], text.rows[:depth], weight=rank_weight(terms), k=depth)
    else:
        share = 1.0
        ids = fuse(by_skills, text.rows[:depth], weight=1.0, k=depth)
    if len(ids) < (min(depth, near.matching) if near else depth):
        ids += _newest(matching.exclude(pk__in=ids), k=depth - len(ids))
    with clock.lap("scores"):
        known = _nearness(kind, seeker, near, text, ids, model=model, candidate_id=candidate_id)
    with clock.lap("ranking"):
        items = _ranked(kind, seeker, known, share=share)
    retrieval = Retrieval(
        strategy=near.strategy if near else "none",
        matching=near.matching if near else None,
        ef_search=near.ef_search if near else 0,
        by_vector=len(near.rows) if near else 0,
        by_text=len(text.scores),
        by_skills=len(by_skills),
        terms=terms,
        terms_searched=text.hits.searched,
        text_share=round(share, 3),
        computed_at=timezone.now().isoformat(timespec="seconds"),
        milliseconds=clock.milliseconds,
    )
    return Matches(items, degraded=near is None, retrieval=retrieval)


class _Clock:
    """Times the steps of a retrieval."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def lap(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.milliseconds[name] = round((time.perf_counter() - started) * 1000, 2)


@transaction.atomic
def search_text(kind: Kind, seeker: Seeker, matching: QuerySet[Any], *, k: int) -> TextResult:
    """Find and score rows of `matching` by the terms that they share with a seeker."""
    query = fulltext.text_query(seeker.terms, kind=kind)
    hits = fulltext.find_rows(query, matching=Subquery.of(matching), k=TEXT_OVERSAMPLING * k)
    return TextResult(query, hits, fulltext.text_scores(query, hits.idf, hits.rows))


def _by_skills(matching: QuerySet[Any], skills: frozenset[int], *, k: int) -> list[int]:
    """Rows with most common skills; of equals, the newest first."""
    if not skills:
        return []
    return list(
        matching.filter(skill_uses__skill_id__in=skills)
        .annotate(common=Count("skill_uses__skill_id", distinct=True))
        .order_by("-common", "-pk")
        .values_list("pk", flat=True)[:k]
    )


def _newest(matching: QuerySet[Any], *, k: int) -> list[int]:
    return list(matching.order_by("-pk").values_list("pk", flat=True)[:k])


def _nearness(
    kind: Kind,
    seeker: Seeker,
    near: Neighbours | None,
    text: TextResult,
    ids: list[int],
    *,
    model: EmbeddingModel | None,
    candidate_id: int | None,
) -> dict[int, Nearness]:
    """Look up every part for every row, whatever list it comes from.

    A row must not win because a part of it is unknown: where the other rows have the part, it counts as 0.
    """
    by_vector: dict[int, float] = {}
    if near is not None and model is not None and seeker.vector is not None:
        by_vector = {row.row_id: row.cosine for row in near.rows}
        missing = [row for row in ids if row not in by_vector]
        by_vector |= cosines(kind, seeker.vector, model=model, ids=missing)
    missing = [row for row in ids if row not in text.scores]
    text_scores = text.scores | fulltext.text_scores(text.query, text.hits.idf, missing)
    liked: dict[int, float] = {}
    if candidate_id is not None and model is not None and kind == Kind.POSTING:
        liked = interest(candidate_id, ids, model=model)
    no_vector, no_text = (None, 0.0) if near is None else (0.0, None)
    return {
        row: Nearness(by_vector.get(row, no_vector), text_scores.get(row, no_text), liked.get(row))
        for row in ids
    }


def _ranked(kind: Kind, seeker: Seeker, known: Mapping[int, Nearness], *, share: float) -> list[Match]:
    today = timezone.now().date()
    matches = []
    for row_id, features in features_of(kind, known).items():
        sides = {"candidate": seeker.features, "posting": features}
        if kind == Kind.CANDIDATE:
            sides = {"candidate": features, "posting": seeker.features}
        result = score(**sides, nearness=known[row_id], text_share=share, today=today)
        matches.append(Match.of(row_id, result, **sides, text_share=share))
    return sorted(matches, key=lambda each: (-each.score, each.row_id))
