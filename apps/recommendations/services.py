"""Recommendations, as GraphQL and the command line request them. All are cached in two levels."""

from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from apps.caching import tags
from apps.caching.two_level import Codec, Computed, TwoLevelCache
from apps.candidates.filters import CandidateFilterSet
from apps.candidates.models import Candidate
from apps.embeddings.kinds import tables
from apps.embeddings.models import EmbeddingModel, Kind
from apps.postings.filters import PostingFilterSet
from apps.postings.models import Posting
from apps.recommendations.active_ranking import active_ranking
from apps.recommendations.copies import with_copies
from apps.recommendations.distinct import find_distinct_matches
from apps.recommendations.interactions import finished_postings
from apps.recommendations.matches import Matches
from apps.recommendations.profiles import Profile, stored_seeker, typed_seeker, without_place
from apps.recommendations.weights import Ranking

Filter = Mapping[str, Any]

# A list of matches is far larger than other entries of the cache: it counts as one more for each of these.
MATCHES_PER_ENTRY = 50
match_cache = TwoLevelCache(
    codec=Codec(
        encode=Matches.encode,
        decode=Matches.decode,
        weight=lambda matches: 1 + len(matches.items) // MATCHES_PER_ENTRY,
    )
)


class FilterError(ValueError):
    """A filter has invalid values; `errors` holds the messages by field."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        self.errors = errors
        super().__init__("; ".join(f"{name}: {' '.join(texts)}" for name, texts in errors.items()))


def filtered(kind: str, values: Filter) -> QuerySet[Any]:
    """The rows of `kind` that match a filter with the names of its FilterSet. Raises FilterError."""
    if kind == Kind.POSTING:
        filters = PostingFilterSet(data=dict(values), queryset=Posting.objects.all())
    else:
        filters = CandidateFilterSet(data=dict(values), queryset=Candidate.objects.all())
    if not filters.is_valid():
        raise FilterError({name: [str(text) for text in texts] for name, texts in filters.errors.items()})
    rows: QuerySet[Any] = filters.qs
    return rows


def recommended_postings(candidate_id: int, values: Filter, *, snapshot: str | None = None) -> Matches:
    """Postings that fit a candidate. Raises NotFoundError and FilterError."""
    return _for_stored(
        "recommended_postings", Kind.CANDIDATE, candidate_id, Kind.POSTING, values, snapshot=snapshot
    )


def recommended_candidates(posting_id: int, values: Filter, *, snapshot: str | None = None) -> Matches:
    """Candidates that fit a posting. Raises NotFoundError and FilterError."""
    return _for_stored(
        "recommended_candidates", Kind.POSTING, posting_id, Kind.CANDIDATE, values, snapshot=snapshot
    )


def similar_postings(posting_id: int, values: Filter, *, snapshot: str | None = None) -> Matches:
    """Postings that are similar to a posting, by text and skills. Raises NotFoundError and FilterError."""
    return _for_stored("similar_postings", Kind.POSTING, posting_id, Kind.POSTING, values, snapshot=snapshot)


def postings_for_profile(profile: Profile, values: Filter, *, snapshot: str | None = None) -> Matches:
    """Postings for a profile that is not stored. Raises FilterError."""
    return _for_profile(profile, Kind.POSTING, values, snapshot=snapshot)


def candidates_for_profile(profile: Profile, values: Filter, *, snapshot: str | None = None) -> Matches:
    """Candidates for a job that is not stored; `profile` holds its requirements. Raises FilterError."""
    return _for_profile(profile, Kind.CANDIDATE, values, snapshot=snapshot)


def _for_stored(
    name: str, seeker_kind: Kind, seeker_id: int, kind: Kind, values: Filter, *, snapshot: str | None
) -> Matches:
    def compute(model: EmbeddingModel | None, ranking: Ranking) -> Matches:
        seeker = stored_seeker(seeker_kind, seeker_id, model)
        rows = matching_rows(kind, values)
        if seeker_kind == kind:
            rows = rows.exclude(pk=seeker_id).exclude(pk__in=with_copies([seeker_id]))
            seeker = without_place(seeker)
            return find_distinct_matches(kind, seeker, rows, model=model, ranking=ranking)
        if kind == Kind.CANDIDATE:
            return find_distinct_matches(kind, seeker, rows, model=model, ranking=ranking)
        # Subqueries, so that the statement does not grow with a candidate's history.
        finished = finished_postings(seeker_id)
        rows = rows.exclude(pk__in=finished).exclude(pk__in=with_copies(finished))
        return find_distinct_matches(kind, seeker, rows, model=model, ranking=ranking, candidate_id=seeker_id)

    about = tags.of_row(tables(seeker_kind).namespace, seeker_id)
    arguments = {"id": seeker_id, "filter": _plain(kind, values)}
    return _cached(name, arguments, kind=kind, about=about, compute=compute, snapshot=snapshot)


def _for_profile(profile: Profile, kind: Kind, values: Filter, *, snapshot: str | None) -> Matches:
    def compute(model: EmbeddingModel | None, ranking: Ranking) -> Matches:
        seeker = typed_seeker(profile, model, kind=kind)
        return find_distinct_matches(kind, seeker, matching_rows(kind, values), model=model, ranking=ranking)

    arguments = {"profile": vars(profile), "filter": _plain(kind, values)}
    return _cached(f"{kind}s_for_profile", arguments, kind=kind, about=(), compute=compute, snapshot=snapshot)


def _cached(
    name: str,
    arguments: dict[str, Any],
    *,
    kind: Kind,
    about: tuple[str, ...],
    compute: Callable[[EmbeddingModel | None, Ranking], Matches],
    snapshot: str | None,
) -> Matches:
    """Return the current ranked list, or the stored one with the identifier `snapshot`.

    Every list is stored under its identifier, which no invalidation touches, so that all pages are cut from
    the list of the first page, however rows change. Once a stored list has expired (CURSOR_TTL), the current
    one takes its place. A degraded list is not cached, so that a full one follows as soon as possible.
    """

    def computed(model: EmbeddingModel | None, ranking: Ranking) -> Computed[Matches]:
        found = compute(model, ranking)
        match_cache.put(
            f"{name} snapshot", arguments | {"snapshot": found.snapshot}, found, ttl=settings.CURSOR_TTL
        )
        return cacheable(found)

    def cacheable(found: Matches) -> Computed[Matches]:
        return Computed(found, is_cacheable=not found.degraded)

    def current() -> Matches:
        model, ranking = EmbeddingModel.objects.active(), active_ranking()
        return match_cache.get_or_compute(
            name,
            arguments | {"model": model.pk if model else None, "ranking": ranking.fingerprint},
            tags=(*tags.of_list(tables(kind).namespace), *tags.of_list("skills"), *about),
            compute=lambda: computed(model, ranking),
        )

    if snapshot is None:
        return current()
    return match_cache.get_or_compute(
        f"{name} snapshot",
        arguments | {"snapshot": snapshot},
        tags=(),
        compute=lambda: cacheable(current()),
    )


def matching_rows(kind: Kind, values: Filter) -> QuerySet[Any]:
    """The rows that a filter leaves for matches, of postings only open ones by default. Raises
    FilterError."""
    return filtered(kind, _with_defaults(kind, values))


def _plain(kind: Kind, values: Filter) -> dict[str, str]:
    """A filter as part of a cache key."""
    return {name: str(value) for name, value in _with_defaults(kind, values).items()}


def _with_defaults(kind: Kind, values: Filter) -> dict[str, Any]:
    given = {name: value for name, value in values.items() if value is not None}
    return {"open_only": True, **given} if kind == Kind.POSTING else given
