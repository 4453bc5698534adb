"""Who fits what: the queries that GraphQL and the command line ask. All of them are cached in two levels."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db.models import Count, Model, QuerySet
from django.utils import timezone

from apps.caching import tags
from apps.caching.two_level import cache
from apps.candidates.filters import CandidateFilterSet
from apps.candidates.models import Candidate
from apps.embeddings.kinds import tables
from apps.embeddings.models import EmbeddingModel, Kind
from apps.postings.filters import PostingFilterSet
from apps.postings.models import Posting
from apps.recommendations.features import features_of
from apps.recommendations.interactions import done_with
from apps.recommendations.matches import Match, Matches
from apps.recommendations.profiles import Profile, Seeker, stored_seeker, typed_seeker, without_place
from apps.recommendations.ranking import score
from apps.recommendations.retrieval import nearest

Filter = Mapping[str, Any]


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


def recommended_postings(candidate_id: int, values: Filter) -> Matches:
    """Postings that fit a candidate. Raises NotFoundError and FilterError."""
    return _for_stored("recommended_postings", Kind.CANDIDATE, candidate_id, Kind.POSTING, values)


def recommended_candidates(posting_id: int, values: Filter) -> Matches:
    """Candidates that fit a posting. Raises NotFoundError and FilterError."""
    return _for_stored("recommended_candidates", Kind.POSTING, posting_id, Kind.CANDIDATE, values)


def similar_postings(posting_id: int, values: Filter) -> Matches:
    """Postings like a posting, by text and skills. Raises NotFoundError and FilterError."""
    return _for_stored("similar_postings", Kind.POSTING, posting_id, Kind.POSTING, values)


def postings_for_profile(profile: Profile, values: Filter) -> Matches:
    """Postings for somebody who is not stored. Raises FilterError."""
    return _for_profile(profile, Kind.POSTING, values)


def candidates_for_profile(profile: Profile, values: Filter) -> Matches:
    """Candidates for a job that is not stored: `profile` says what is asked for. Raises FilterError."""
    return _for_profile(profile, Kind.CANDIDATE, values)


def _for_stored(name: str, seeker_kind: Kind, seeker_id: int, kind: Kind, values: Filter) -> Matches:
    def compute(model: EmbeddingModel | None) -> Matches:
        seeker = stored_seeker(seeker_kind, seeker_id, model)
        if seeker_kind == kind:
            seeker = without_place(seeker)
        without = [seeker_id] if seeker_kind == kind else done_with(seeker_id) if kind == Kind.POSTING else []
        return _match(kind, seeker, values, model=model, without=without)

    about = tags.of_row(tables(seeker_kind).namespace, seeker_id)
    return _cached(
        name, {"id": seeker_id, "filter": _plain(kind, values)}, kind=kind, about=about, compute=compute
    )


def _for_profile(profile: Profile, kind: Kind, values: Filter) -> Matches:
    def compute(model: EmbeddingModel | None) -> Matches:
        return _match(kind, typed_seeker(profile, model), values, model=model)

    arguments = {"profile": vars(profile), "filter": _plain(kind, values)}
    return _cached(f"{kind}s_for_profile", arguments, kind=kind, about=(), compute=compute)


def _cached(
    name: str,
    arguments: dict[str, Any],
    *,
    kind: Kind,
    about: tuple[str, ...],
    compute: Callable[[EmbeddingModel | None], Matches],
) -> Matches:
    """Looks in the cache first; a degraded answer is not kept, so that a full one follows as soon as it can."""
    model = EmbeddingModel.objects.active()
    found = cache.get_or_compute(
        name,
        arguments | {"model": model.pk if model else None},
        tags=(*tags.of_list(tables(kind).namespace), *tags.of_list("skills"), *about),
        compute=lambda: compute(model).to_json(),
        keep=lambda matches: not matches["degraded"],
    )
    return Matches.from_json(found)


def _plain(kind: Kind, values: Filter) -> dict[str, str]:
    """A filter as part of a cache key. Postings are the open ones unless the filter says otherwise."""
    return {name: str(value) for name, value in _with_defaults(kind, values).items()}


def _with_defaults(kind: Kind, values: Filter) -> dict[str, Any]:
    given = {name: value for name, value in values.items() if value is not None}
    return {"open_only": True, **given} if kind == Kind.POSTING else given


def _match(
    kind: Kind, seeker: Seeker, values: Filter, *, model: EmbeddingModel | None, without: Sequence[int] = ()
) -> Matches:
    """Retrieves by vector, or by skills where there is none, and ranks what was retrieved."""
    matching = filtered(kind, _with_defaults(kind, values))
    if without:
        matching = matching.exclude(pk__in=without)
    if model is not None and seeker.vector is not None:
        found = nearest(kind, seeker.vector, model=model, matching=matching, k=settings.RECOMMENDATION_DEPTH)
        cosines: dict[int, float | None] = {row.row_id: row.cosine for row in found.rows}
        strategy = found.strategy
    else:
        cosines = dict.fromkeys(_by_skills(matching, seeker.features.skills))
        strategy = "skills"
    return Matches(_ranked(kind, seeker, cosines), degraded=strategy == "skills", strategy=strategy)


def _by_skills(matching: QuerySet[Model], skills: frozenset[int]) -> list[int]:
    """Rows with most of the skills in common, the newest of equals first."""
    return list(
        matching.filter(skill_uses__skill_id__in=skills)
        .annotate(in_common=Count("skill_uses__skill_id", distinct=True))
        .order_by("-in_common", "-pk")
        .values_list("pk", flat=True)[: settings.RECOMMENDATION_DEPTH]
    )


def _ranked(kind: Kind, seeker: Seeker, cosines: Mapping[int, float | None]) -> list[Match]:
    now = timezone.now()
    matches = []
    for row_id, features in features_of(kind, cosines).items():
        sides = {"candidate": seeker.features, "posting": features}
        if kind == Kind.CANDIDATE:
            sides = {"candidate": features, "posting": seeker.features}
        result = score(**sides, cosine=cosines[row_id], now=now)
        matches.append(Match.of(row_id, result, **sides))
    return sorted(matches, key=lambda match: (-match.score, match.row_id))
