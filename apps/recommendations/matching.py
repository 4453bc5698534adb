"""From a seeker to ranked matches: retrieve rows by vector, full text and skills, fuse them by rank, score
them."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, QuerySet
from django.utils import timezone

from apps.embeddings.kinds import tables
from apps.embeddings.models import EmbeddingModel, Kind
from apps.recommendations import fulltext
from apps.recommendations.copies import groups_of
from apps.recommendations.features import Row, read_rows
from apps.recommendations.fusion import fuse, rank_weight
from apps.recommendations.interactions import interest
from apps.recommendations.matches import Match, Matches, Retrieval
from apps.recommendations.profiles import Seeker
from apps.recommendations.ranking import Nearness, list_weights, parts_of
from apps.recommendations.rarity import skill_rarity
from apps.recommendations.retrieval import Neighbours, cosines, nearest
from apps.recommendations.subqueries import Subquery
from apps.recommendations.weights import Ranking

# Rows found by the rarest terms, for each that is left once all terms are scored.
TEXT_OVERSAMPLING = 3


@dataclass(frozen=True)
class TextResult:
    """Rows with their text scores, and the query and its idf to score others."""

    query: fulltext.TextQuery
    hits: fulltext.TextHits
    scores: dict[int, fulltext.TextScore]

    @property
    def rows(self) -> list[int]:
        """Rows by the better one of their text scores, the best first."""
        return sorted(self.scores, key=lambda row: (-max(self.scores[row]), row))


def find_matches(
    kind: Kind,
    seeker: Seeker,
    matching: QuerySet[Any],
    *,
    model: EmbeddingModel | None,
    ranking: Ranking,
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
        share = ranking.text_share.of(terms)
        ids = fuse([row.row_id for row in near.rows], text.rows[:depth], weight=rank_weight(terms), k=depth)
    else:
        share = 1.0
        ids = fuse(by_skills, text.rows[:depth], weight=1.0, k=depth)
    if len(ids) < (min(depth, near.matching) if near else depth):
        ids += _newest(matching.exclude(pk__in=ids), k=depth - len(ids))
    with clock.lap("scores"):
        known = _nearness(kind, seeker, near, text, ids, model=model, candidate_id=candidate_id)
    with clock.lap("ranking"):
        items = _ranked(kind, seeker, known, share=share, ranking=ranking)
    retrieval = Retrieval(
        strategy=near.strategy if near else "none",
        matching=near.matching if near else None,
        ef_search=near.ef_search if near else 0,
        by_vector=len(near.rows) if near else 0,
        by_text=len(text.scores),
        by_skills=len(by_skills),
        copies=len(ids) - len(items),
        terms=terms,
        terms_searched=text.hits.searched,
        text_share=round(share, 3),
        computed_at=timezone.now().isoformat(timespec="seconds"),
        milliseconds=clock.milliseconds,
    )
    return Matches(items, degraded=near is None, retrieval=retrieval)


def score_rows(
    kind: Kind,
    seeker: Seeker,
    ids: list[int],
    *,
    model: EmbeddingModel,
    ranking: Ranking,
    candidate_id: int | None = None,
) -> list[Match]:
    """Score these rows for a seeker, as `find_matches` would if it had retrieved them; the best first."""
    rows = tables(kind).model._default_manager.filter(pk__in=ids)
    text = search_text(kind, seeker, rows, k=len(ids))
    near = Neighbours([], "none", len(ids))
    known = _nearness(kind, seeker, near, text, ids, model=model, candidate_id=candidate_id)
    return _ranked(kind, seeker, known, share=ranking.text_share.of(seeker.terms.count), ranking=ranking)


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
    no_vector, no_text = (None, fulltext.TextScore(0.0, 0.0)) if near is None else (0.0, None)
    known: dict[int, Nearness] = {}
    for row in ids:
        text_score = text_scores.get(row, no_text)
        known[row] = Nearness(
            cosine=by_vector.get(row, no_vector),
            text=text_score.whole if text_score else None,
            title=text_score.title if text_score else None,
            interest=liked.get(row),
        )
    return known


def _ranked(
    kind: Kind, seeker: Seeker, known: Mapping[int, Nearness], *, share: float, ranking: Ranking
) -> list[Match]:
    today, rarity = timezone.now().date(), skill_rarity()
    rows = read_rows(kind, known)
    sides = {
        row_id: (seeker.features, row.features) if kind == Kind.POSTING else (row.features, seeker.features)
        for row_id, row in rows.items()
    }
    parts = {
        row_id: parts_of(
            candidate=candidate,
            posting=posting,
            nearness=_with_names(seeker, rows[row_id], known[row_id]),
            rarity=rarity,
            ranking=ranking,
            today=today,
        )
        for row_id, (candidate, posting) in sides.items()
    }
    weights = list_weights(ranking, parts.values(), share=share)
    matches = [
        Match.of(row_id, parts[row_id], weights=weights, candidate=candidate, posting=posting)
        for row_id, (candidate, posting) in sides.items()
    ]
    matches.sort(key=lambda each: (-each.score, each.row_id))
    return _capped(one_of_each_group(matches) if kind == Kind.POSTING else matches, rows, ranking)


def one_of_each_group(matches: list[Match]) -> list[Match]:
    """Leave of each group of copies the first, which fits best."""
    groups, met = groups_of([match.row_id for match in matches]), set[int]()
    distinct = []
    for match in matches:
        group = groups.get(match.row_id)
        if group is None or group not in met:
            distinct.append(match)
        if group is not None:
            met.add(group)
    return distinct


def _with_names(seeker: Seeker, row: Row, nearness: Nearness) -> Nearness:
    if not seeker.names.words:
        return nearness
    same_title = 1.0 if seeker.names.same_title(row.title) else None
    return replace(nearness, same_title=same_title, named=seeker.names.named(row.features, row.company))


def _capped(matches: list[Match], rows: Mapping[int, Row], ranking: Ranking) -> list[Match]:
    """Move the postings of a company beyond its cap behind the first places; the order stays otherwise."""
    if not ranking.company_cap:
        return matches
    counts: dict[int, int] = defaultdict(int)
    first: list[Match] = []
    rest: list[Match] = []
    for match in matches:
        company = rows[match.row_id].company_id
        if len(first) < ranking.capped_places and (company is None or counts[company] < ranking.company_cap):
            first.append(match)
            if company is not None:
                counts[company] += 1
        else:
            rest.append(match)
    return first + rest
