"""From a seeker to ranked matches: rows are retrieved by vector, by words and by skills, fused by rank, and scored."""

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
from apps.recommendations.fusion import fused, rank_weight, text_share
from apps.recommendations.interactions import interest
from apps.recommendations.matches import Match, Matches, Retrieval
from apps.recommendations.profiles import Seeker
from apps.recommendations.ranking import Nearness, score
from apps.recommendations.retrieval import Neighbours, cosines, keys_of, nearest

# Rows found by the rarest words, for each that is kept when all words were looked at.
FOUND_FOR_EACH = 3


@dataclass(frozen=True)
class ByText:
    """Rows by text score, the best first, and what it takes to score others."""

    query: fulltext.Query
    found: fulltext.Found
    scores: dict[int, float]

    @property
    def rows(self) -> list[int]:
        return sorted(self.scores, key=lambda row: (-self.scores[row], row))


def match(
    kind: Kind,
    seeker: Seeker,
    matching: QuerySet[Any],
    *,
    model: EmbeddingModel | None,
    candidate_id: int | None = None,
) -> Matches:
    """The best RECOMMENDATION_DEPTH rows of `matching` for a seeker: all of them, where fewer match.

    Rows that have no vector yet are found by their words, and the newest of them where others are too few. Where the
    seeker has no vector, words and skills answer, and the newest rows fill up; that is marked degraded.
    `candidate_id` says whose saved postings count, where the seeker is a stored candidate.
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
        text = by_text(kind, seeker, matching, k=depth)
    words = seeker.words.different
    if near is not None:
        share = text_share(words)
        ids = fused([row.row_id for row in near.rows], text.rows[:depth], weight=rank_weight(words), k=depth)
    else:
        share = 1.0
        ids = fused(by_skills, text.rows[:depth], weight=1.0, k=depth)
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
        words=words,
        words_searched=text.found.searched,
        text_share=round(share, 3),
        computed_at=timezone.now().isoformat(timespec="seconds"),
        milliseconds=clock.milliseconds,
    )
    return Matches(items, degraded=near is None, retrieval=retrieval)


class _Clock:
    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def lap(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.milliseconds[name] = round((time.perf_counter() - started) * 1000, 2)


@transaction.atomic
def by_text(kind: Kind, seeker: Seeker, matching: QuerySet[Any], *, k: int) -> ByText:
    query = fulltext.query_of(seeker.words, kind=kind)
    found = fulltext.find(query, matching=keys_of(matching), k=FOUND_FOR_EACH * k)
    return ByText(query, found, fulltext.scores(query, found.idf, found.rows))


def _by_skills(matching: QuerySet[Any], skills: frozenset[int], *, k: int) -> list[int]:
    """Rows with most of the skills in common, the newest of equals first."""
    if not skills:
        return []
    return list(
        matching.filter(skill_uses__skill_id__in=skills)
        .annotate(in_common=Count("skill_uses__skill_id", distinct=True))
        .order_by("-in_common", "-pk")
        .values_list("pk", flat=True)[:k]
    )


def _newest(matching: QuerySet[Any], *, k: int) -> list[int]:
    return list(matching.order_by("-pk").values_list("pk", flat=True)[:k])


def _nearness(
    kind: Kind,
    seeker: Seeker,
    near: Neighbours | None,
    text: ByText,
    ids: list[int],
    *,
    model: EmbeddingModel | None,
    candidate_id: int | None,
) -> dict[int, Nearness]:
    """What is known of each of `ids`: whatever list a row comes from, all of its parts are looked up.

    A row must not win by what is not known of it: by whatever the others are measured, it is as far as can be.
    """
    by_vector: dict[int, float] = {}
    if near is not None and model is not None and seeker.vector is not None:
        by_vector = {row.row_id: row.cosine for row in near.rows}
        missing = [row for row in ids if row not in by_vector]
        by_vector |= cosines(kind, seeker.vector, model=model, ids=missing)
    missing = [row for row in ids if row not in text.scores]
    by_text = text.scores | fulltext.scores(text.query, text.found.idf, missing)
    liked: dict[int, float] = {}
    if candidate_id is not None and model is not None and kind == Kind.POSTING:
        liked = interest(candidate_id, ids, model=model)
    no_vector, no_words = (None, 0.0) if near is None else (0.0, None)
    return {
        row: Nearness(by_vector.get(row, no_vector), by_text.get(row, no_words), liked.get(row))
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
