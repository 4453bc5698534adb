import re
from collections.abc import Callable
from functools import partial
from typing import Any

import graphene
from django.db.models import QuerySet

from apps.api.access import require, require_for_candidate
from apps.api.candidates.queries import VIEW_CANDIDATES
from apps.api.candidates.types import CandidateFilterInput
from apps.api.connections import page_info
from apps.api.enums import enum_value
from apps.api.errors import bad_field, camel
from apps.api.fields import PER_READER, SEARCH_COST, RootField
from apps.api.filters import filter_values
from apps.api.ids import primary_key
from apps.api.inputs import checked_names, checked_text
from apps.api.postings.types import PostingFilterInput
from apps.api.recommendations.cursors import MatchCursor, page_of_matches
from apps.api.recommendations.types import CandidateMatchConnection, PostingMatchConnection, ProfileInput
from apps.api.records import CANDIDATES, POSTINGS
from apps.api.translation import translated
from apps.embeddings.models import Kind
from apps.recommendations import services
from apps.recommendations.interactions import finished_postings
from apps.recommendations.matches import Matches
from apps.recommendations.profiles import Profile
from apps.recommendations.retrieval import keys_among
from apps.records.counting import Count
from apps.records.filters import DEFAULT_CURRENCY
from apps.records.inputs import MAX_MONEY, MAX_YEARS

FIRST = graphene.Int(description="Size of the page, at most 100; 20 by default")
AFTER = graphene.String(description="Cursor to go on after")
POSTING_FILTER = PostingFilterInput(
    description="Narrows the postings down; open ones only, unless openOnly is false"
)
CANDIDATE_FILTER = CandidateFilterInput(description="Narrows the candidates down")
PUBLIC = ("postings", "skills")  # read by fields whose value is the same for every reader
MAX_TEXT_CHARACTERS = 100_000
BOUNDS = {"experience_years": MAX_YEARS, "salary_per_year": MAX_MONEY}


def _field(connection: Any, filter_type: Any, description: str, **options: Any) -> RootField:
    return RootField(
        connection,
        cost=SEARCH_COST,
        filter=filter_type,
        first=FIRST,
        after=AFTER,
        required=True,
        description=description,
        **options,
    )


class RecommendationQueries(graphene.ObjectType):
    recommended_postings = _field(
        PostingMatchConnection,
        POSTING_FILTER,
        "Postings that fit a candidate, the best first. For recruiters, and for the candidate itself.",
        reads=PER_READER,
        candidate_id=graphene.ID(required=True, description="Global id, or primary key"),
    )
    recommended_candidates = _field(
        CandidateMatchConnection,
        CANDIDATE_FILTER,
        "Candidates that fit a posting, the best first. For recruiters.",
        reads=PER_READER,
        posting_id=graphene.ID(required=True, description="Global id, or primary key"),
    )
    similar_postings = _field(
        PostingMatchConnection,
        POSTING_FILTER,
        "Postings like a posting, by text and skills",
        reads=PUBLIC,
        posting_id=graphene.ID(required=True, description="Global id, or primary key"),
    )
    recommended_postings_for_profile = _field(
        PostingMatchConnection,
        POSTING_FILTER,
        "Postings that fit somebody who is not stored",
        reads=PUBLIC,
        is_personal=True,
        profile=ProfileInput(required=True, description="What is known of the person"),
    )
    search_postings = _field(
        PostingMatchConnection,
        POSTING_FILTER,
        "Postings for a search by words and skills",
        reads=PUBLIC,
        text=graphene.String(description="What is looked for"),
        skills=graphene.List(graphene.NonNull(graphene.String), description="Skills; aliases are understood"),
        experience_years=graphene.Float(description="Years of experience of the person"),
    )
    search_candidates = _field(
        CandidateMatchConnection,
        CANDIDATE_FILTER,
        "Candidates for a search by words and skills. For recruiters.",
        reads=PER_READER,
        text=graphene.String(description="What is looked for"),
        skills=graphene.List(graphene.NonNull(graphene.String), description="Skills; aliases are understood"),
        experience_years=graphene.Float(description="Years of experience asked for"),
    )

    @staticmethod
    @translated
    def resolve_recommended_postings(
        _root: None,
        info: Any,
        candidate_id: str,
        filter: dict[str, Any] | None = None,  # noqa: A002  named by the schema
        first: int | None = None,
        after: str | None = None,
    ) -> Any:
        key = primary_key(candidate_id, of="Candidate", argument="candidateId")
        require_for_candidate(info, key, VIEW_CANDIDATES)
        search = partial(services.recommended_postings, key)
        return _connection(Kind.POSTING, search, filter, first, after, without=finished_postings(key))

    @staticmethod
    @translated
    def resolve_recommended_candidates(
        _root: None,
        info: Any,
        posting_id: str,
        filter: dict[str, Any] | None = None,  # noqa: A002
        first: int | None = None,
        after: str | None = None,
    ) -> Any:
        require(info, VIEW_CANDIDATES)
        key = primary_key(posting_id, of="Posting", argument="postingId")
        return _connection(
            Kind.CANDIDATE, partial(services.recommended_candidates, key), filter, first, after
        )

    @staticmethod
    @translated
    def resolve_similar_postings(
        _root: None,
        _info: Any,
        posting_id: str,
        filter: dict[str, Any] | None = None,  # noqa: A002
        first: int | None = None,
        after: str | None = None,
    ) -> Any:
        key = primary_key(posting_id, of="Posting", argument="postingId")
        return _connection(Kind.POSTING, partial(services.similar_postings, key), filter, first, after)

    @staticmethod
    @translated
    def resolve_recommended_postings_for_profile(
        _root: None,
        _info: Any,
        profile: dict[str, Any],
        filter: dict[str, Any] | None = None,  # noqa: A002
        first: int | None = None,
        after: str | None = None,
    ) -> Any:
        search = partial(services.postings_for_profile, _profile(profile, "profile."))
        return _connection(Kind.POSTING, search, filter, first, after)

    @staticmethod
    @translated
    def resolve_search_postings(
        _root: None,
        _info: Any,
        filter: dict[str, Any] | None = None,  # noqa: A002
        first: int | None = None,
        after: str | None = None,
        **wanted: Any,
    ) -> Any:
        search = partial(services.postings_for_profile, _profile(wanted, ""))
        return _connection(Kind.POSTING, search, filter, first, after)

    @staticmethod
    @translated
    def resolve_search_candidates(
        _root: None,
        info: Any,
        filter: dict[str, Any] | None = None,  # noqa: A002
        first: int | None = None,
        after: str | None = None,
        **wanted: Any,
    ) -> Any:
        require(info, VIEW_CANDIDATES)
        search = partial(services.candidates_for_profile, _profile(wanted, ""))
        return _connection(Kind.CANDIDATE, search, filter, first, after)


def _profile(given: dict[str, Any], prefix: str) -> Profile:
    values = {name: enum_value(value) for name, value in given.items() if value is not None}
    values["skills"] = tuple(checked_names(values.get("skills"), argument=f"{prefix}skills"))
    text = checked_text(values.get("text"), argument=f"{prefix}text", max_characters=MAX_TEXT_CHARACTERS)
    if not text and not values["skills"]:
        raise bad_field(f"{prefix}text", "give a text or skills")
    for name, most in BOUNDS.items():
        if not 0 <= values.get(name, 0) <= most:
            raise bad_field(
                f"{prefix}{camel(name)}", f"must be between 0 and {most:,}, not {values[name]:,g}"
            )
    if values.get("salary_per_year") is not None:
        currency = values.get("salary_currency", "").strip().upper() or DEFAULT_CURRENCY
        if not re.fullmatch("[A-Z]{3}", currency):
            raise bad_field(
                f"{prefix}salaryCurrency", f"{currency[:20]!r} is no code of ISO 4217, such as EUR"
            )
        values["salary_currency"] = currency
    return Profile(**values | {"text": text})


Search = Callable[..., Matches]


KINDS: dict[Kind, tuple[Any, Callable[[QuerySet[Any]], QuerySet[Any]]]] = {
    Kind.POSTING: (PostingMatchConnection, POSTINGS.for_nodes),
    Kind.CANDIDATE: (CandidateMatchConnection, CANDIDATES.for_nodes),
}


def _connection(
    kind: Kind,
    search: Search,
    given: dict[str, Any] | None,
    first: int | None,
    after: str | None,
    *,
    without: QuerySet[Any] | None = None,
) -> Any:
    """A page of what `search` finds. Rows that were deleted, no longer match the filter or are `without` by now are on
    no page."""
    connection, for_nodes = KINDS[kind]
    cursor = MatchCursor.parse(after) if after is not None else None
    values = filter_values(given)
    ranked = search(values, snapshot=cursor.snapshot if cursor else None)
    rows = services.matching_rows(kind, values)
    if without is not None:
        rows = rows.exclude(pk__in=without)
    matches = ranked.only(keys_among([each.row_id for each in ranked.items], rows))
    snapshot = cursor.snapshot if cursor else ranked.snapshot
    page = page_of_matches(matches.items, snapshot=snapshot, first=first, after=cursor)
    nodes = for_nodes(rows.order_by()).in_bulk([match.row_id for match in page.items])
    edges = [
        connection.Edge(node=nodes[match.row_id], cursor=place, score=match.score, explanation=match)
        for match, place in zip(page.items, page.cursors, strict=True)
        if match.row_id in nodes  # deleted a moment ago
    ]
    filled = connection(
        edges=edges, page_info=page_info(page), degraded=matches.degraded, retrieval=matches.retrieval
    )
    filled.count = Count(len(matches.items), is_estimate=False)
    filled.is_cacheable = not matches.degraded
    return filled
