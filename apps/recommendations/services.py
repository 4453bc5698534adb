"""Who fits what: the queries that GraphQL and the command line ask. All of them are cached in two levels."""

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
from apps.recommendations.interactions import done_with
from apps.recommendations.matches import Matches
from apps.recommendations.matching import match
from apps.recommendations.profiles import Profile, stored_seeker, typed_seeker, without_place

Filter = Mapping[str, Any]

MATCHES_OF_ENTRY = 50  # for so many a list counts as one entry more: it is far larger than other answers
lists = TwoLevelCache(
    codec=Codec(
        encode=Matches.encode,
        decode=Matches.decode,
        weight=lambda matches: 1 + len(matches.items) // MATCHES_OF_ENTRY,
    )
)


class FilterError(ValueError):
    """A filter's value is wrong; `errors` says what, by field."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        self.errors = errors
        super().__init__("; ".join(f"{name}: {' '.join(texts)}" for name, texts in errors.items()))


def filtered(kind: str, values: Filter) -> QuerySet[Any]:
    """The rows of `kind` that match a filter by names as in its FilterSet. Raises FilterError."""
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
    """Postings like a posting, by text and skills. Raises NotFoundError and FilterError."""
    return _for_stored("similar_postings", Kind.POSTING, posting_id, Kind.POSTING, values, snapshot=snapshot)


def postings_for_profile(profile: Profile, values: Filter, *, snapshot: str | None = None) -> Matches:
    """Postings for somebody who is not stored. Raises FilterError."""
    return _for_profile(profile, Kind.POSTING, values, snapshot=snapshot)


def candidates_for_profile(profile: Profile, values: Filter, *, snapshot: str | None = None) -> Matches:
    """Candidates for a job that is not stored: `profile` says what is asked for. Raises FilterError."""
    return _for_profile(profile, Kind.CANDIDATE, values, snapshot=snapshot)


def _for_stored(
    name: str, seeker_kind: Kind, seeker_id: int, kind: Kind, values: Filter, *, snapshot: str | None
) -> Matches:
    def compute(model: EmbeddingModel | None) -> Matches:
        seeker = stored_seeker(seeker_kind, seeker_id, model)
        rows = matching_rows(kind, values)
        if seeker_kind == kind:
            return match(kind, without_place(seeker), rows.exclude(pk=seeker_id), model=model)
        if kind == Kind.CANDIDATE:
            return match(kind, seeker, rows, model=model)
        # Left out by a subquery: a retrieval must not grow with a candidate's history.
        rows = rows.exclude(pk__in=done_with(seeker_id))
        return match(kind, seeker, rows, model=model, candidate_id=seeker_id)

    about = tags.of_row(tables(seeker_kind).namespace, seeker_id)
    arguments = {"id": seeker_id, "filter": _plain(kind, values)}
    return _cached(name, arguments, kind=kind, about=about, compute=compute, snapshot=snapshot)


def _for_profile(profile: Profile, kind: Kind, values: Filter, *, snapshot: str | None) -> Matches:
    def compute(model: EmbeddingModel | None) -> Matches:
        return match(kind, typed_seeker(profile, model, kind=kind), matching_rows(kind, values), model=model)

    arguments = {"profile": vars(profile), "filter": _plain(kind, values)}
    return _cached(f"{kind}s_for_profile", arguments, kind=kind, about=(), compute=compute, snapshot=snapshot)


def _cached(
    name: str,
    arguments: dict[str, Any],
    *,
    kind: Kind,
    about: tuple[str, ...],
    compute: Callable[[EmbeddingModel | None], Matches],
    snapshot: str | None,
) -> Matches:
    """The ranked list of now, or for the pages after the first the one that the first was cut from.

    A degraded answer is not cached, so that a full one follows as soon as it can. Every list is kept as a snapshot,
    which no invalidation touches: who pages on reads the same list, however the rows change meanwhile. Where a snapshot
    is gone (see CURSOR_TTL), the list of now takes its place for the rest of the pages.
    """

    def computed(model: EmbeddingModel | None) -> Computed[Matches]:
        found = compute(model)
        lists.put(
            f"{name} snapshot", arguments | {"snapshot": found.snapshot}, found, ttl=settings.CURSOR_TTL
        )
        return cacheable(found)

    def cacheable(found: Matches) -> Computed[Matches]:
        return Computed(found, is_cacheable=not found.degraded)

    def fresh() -> Matches:
        model = EmbeddingModel.objects.active()
        return lists.get_or_compute(
            name,
            arguments | {"model": model.pk if model else None},
            tags=(*tags.of_list(tables(kind).namespace), *tags.of_list("skills"), *about),
            compute=lambda: computed(model),
        )

    if snapshot is None:
        return fresh()
    return lists.get_or_compute(
        f"{name} snapshot",
        arguments | {"snapshot": snapshot},
        tags=(),
        compute=lambda: cacheable(fresh()),
    )


def matching_rows(kind: Kind, values: Filter) -> QuerySet[Any]:
    """The rows that a filter leaves for matches. Postings are the open ones unless it says otherwise.

    Raises FilterError.
    """
    return filtered(kind, _with_defaults(kind, values))


def _plain(kind: Kind, values: Filter) -> dict[str, str]:
    """A filter as part of a cache key."""
    return {name: str(value) for name, value in _with_defaults(kind, values).items()}


def _with_defaults(kind: Kind, values: Filter) -> dict[str, Any]:
    given = {name: value for name, value in values.items() if value is not None}
    return {"open_only": True, **given} if kind == Kind.POSTING else given
