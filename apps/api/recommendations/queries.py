"""Queries that return ranked matches."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import graphene
from django.db.models import QuerySet

from apps.api.access import require, require_for_candidate
from apps.api.candidates.queries import VIEW_CANDIDATES
from apps.api.candidates.types import CandidateFilterInput
from apps.api.connections import page_arguments, page_info
from apps.api.enums import enum_value
from apps.api.errors import bad_field, camel
from apps.api.fields import PER_READER, SEARCH_COST, RootField
from apps.api.filters import filter_values
from apps.api.ids import primary_key
from apps.api.inputs import checked_names, checked_text
from apps.api.postings.types import PostingFilterInput
from apps.api.recommendations.alternatives import PageAlternatives
from apps.api.recommendations.cursors import MatchCursor, page_of_matches
from apps.api.recommendations.reasons import PageReasons, ReasonedMatch, SeekerText
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

PAGE_ARGUMENTS = page_arguments()
POSTING_FILTER = PostingFilterInput(
    description="Conditions that the postings must meet; openOnly is true unless given"
)
CANDIDATE_FILTER = CandidateFilterInput(description="Conditions that the candidates must meet")
SKILLS_DESCRIPTION = "Names of skills; aliases are understood"
PUBLIC = ("postings", "skills")  # read by fields whose value is the same for every reader
MAX_TEXT_CHARACTERS = 100_000
MAX_VALUES = {"experience_years": MAX_YEARS, "salary_per_year": MAX_MONEY}


def _field(connection: Any, filter_type: Any, description: str, **options: Any) -> RootField:
    return RootField(
        connection,
        cost=SEARCH_COST,
        **PAGE_ARGUMENTS,
        filter=filter_type,
        required=True,
        description=description,
        **options,
    )


class RecommendationQueries(graphene.ObjectType):
    """The queries of this module, as a part of the schema's Query."""

    recommended_postings = _field(
        PostingMatchConnection,
        POSTING_FILTER,
        "Postings that fit a candidate, best first. For recruiters, and for the candidate itself.",
        reads=PER_READER,
        candidate_id=graphene.ID(required=True, description="Global id or primary key of the candidate"),
    )
    recommended_candidates = _field(
        CandidateMatchConnection,
        CANDIDATE_FILTER,
        "Candidates that fit a posting, best first. For recruiters.",
        reads=PER_READER,
        posting_id=graphene.ID(required=True, description="Global id or primary key of the posting"),
    )
    similar_postings = _field(
        PostingMatchConnection,
        POSTING_FILTER,
        "Postings similar to a posting in text and skills",
        reads=PUBLIC,
        posting_id=graphene.ID(required=True, description="Global id or primary key of the posting"),
    )
    recommended_postings_for_profile = _field(
        PostingMatchConnection,
        POSTING_FILTER,
        "Postings that fit a person who is not stored, best first",
        reads=PUBLIC,
        is_personal=True,
        profile=ProfileInput(required=True, description="The person"),
    )
    search_postings = _field(
        PostingMatchConnection,
        POSTING_FILTER,
        "Postings for a search by text and skills, best first",
        reads=PUBLIC,
        text=graphene.String(description="Text to search for"),
        skills=graphene.List(graphene.NonNull(graphene.String), description=SKILLS_DESCRIPTION),
        experience_years=graphene.Float(description="Years of experience that the person has"),
    )
    search_candidates = _field(
        CandidateMatchConnection,
        CANDIDATE_FILTER,
        "Candidates for a search by text and skills, best first. For recruiters.",
        reads=PER_READER,
        text=graphene.String(description="Text to search for"),
        skills=graphene.List(graphene.NonNull(graphene.String), description=SKILLS_DESCRIPTION),
        experience_years=graphene.Float(description="Years of experience asked for"),
    )

    # `page` has the arguments filter, first and after.

    @staticmethod
    @translated
    def resolve_recommended_postings(_root: None, info: Any, candidate_id: str, **page: Any) -> Any:
        key = primary_key(candidate_id, of="Candidate", argument="candidateId")
        require_for_candidate(info, key, VIEW_CANDIDATES)
        search = partial(services.recommended_postings, key)
        seeker = SeekerText(Kind.CANDIDATE, key)
        return _connection(Kind.POSTING, search, seeker, without=finished_postings(key), **page)

    @staticmethod
    @translated
    def resolve_recommended_candidates(_root: None, info: Any, posting_id: str, **page: Any) -> Any:
        require(info, VIEW_CANDIDATES)
        key = primary_key(posting_id, of="Posting", argument="postingId")
        search = partial(services.recommended_candidates, key)
        return _connection(Kind.CANDIDATE, search, SeekerText(Kind.POSTING, key), **page)

    @staticmethod
    @translated
    def resolve_similar_postings(_root: None, _info: Any, posting_id: str, **page: Any) -> Any:
        key = primary_key(posting_id, of="Posting", argument="postingId")
        search = partial(services.similar_postings, key)
        return _connection(Kind.POSTING, search, SeekerText(Kind.POSTING, key), **page)

    @staticmethod
    @translated
    def resolve_recommended_postings_for_profile(
        _root: None, _info: Any, profile: dict[str, Any], **page: Any
    ) -> Any:
        person = _profile(profile, "profile.")
        search = partial(services.postings_for_profile, person)
        return _connection(Kind.POSTING, search, _typed(Kind.CANDIDATE, person), **page)

    @staticmethod
    @translated
    def resolve_search_postings(
        _root: None,
        _info: Any,
        text: str | None = None,
        skills: Sequence[str] | None = None,
        experience_years: float | None = None,
        **page: Any,
    ) -> Any:
        profile = _profile({"text": text, "skills": skills, "experience_years": experience_years}, "")
        search = partial(services.postings_for_profile, profile)
        return _connection(Kind.POSTING, search, _typed(Kind.CANDIDATE, profile), **page)

    @staticmethod
    @translated
    def resolve_search_candidates(
        _root: None,
        info: Any,
        text: str | None = None,
        skills: Sequence[str] | None = None,
        experience_years: float | None = None,
        **page: Any,
    ) -> Any:
        require(info, VIEW_CANDIDATES)
        profile = _profile({"text": text, "skills": skills, "experience_years": experience_years}, "")
        search = partial(services.candidates_for_profile, profile)
        return _connection(Kind.CANDIDATE, search, _typed(Kind.POSTING, profile), **page)


def _typed(kind: Kind, profile: Profile) -> SeekerText:
    return SeekerText(kind, text=profile.text or ", ".join(profile.skills))


def _profile(given: dict[str, Any], prefix: str) -> Profile:
    """The profile in an argument, whose fields an error names with `prefix`. Raises BadInputError."""
    values = {name: enum_value(value) for name, value in given.items() if value is not None}
    values["skills"] = tuple(checked_names(values.get("skills"), argument=f"{prefix}skills"))
    text = checked_text(values.get("text"), argument=f"{prefix}text", max_characters=MAX_TEXT_CHARACTERS)
    if not text and not values["skills"]:
        raise bad_field(f"{prefix}text", "give a text or skills")
    for name, maximum in MAX_VALUES.items():
        if not 0 <= values.get(name, 0) <= maximum:
            raise bad_field(
                f"{prefix}{camel(name)}", f"must be between 0 and {maximum:,}, not {values[name]:,g}"
            )
    if values.get("salary_per_year") is not None:
        currency = values.get("salary_currency", "").strip().upper() or DEFAULT_CURRENCY
        if not re.fullmatch("[A-Z]{3}", currency):
            raise bad_field(
                f"{prefix}salaryCurrency", f"{currency[:20]!r} is not an ISO 4217 code, such as EUR"
            )
        values["salary_currency"] = currency
    return Profile(**values | {"text": text})


# The connection of the matches of each kind, and the function that makes their rows ready for nodes.
KINDS: dict[Kind, tuple[Any, Callable[[QuerySet[Any]], QuerySet[Any]]]] = {
    Kind.POSTING: (PostingMatchConnection, POSTINGS.for_nodes),
    Kind.CANDIDATE: (CandidateMatchConnection, CANDIDATES.for_nodes),
}


def _connection(
    kind: Kind,
    search: Callable[..., Matches],
    seeker: SeekerText,
    *,
    filter: dict[str, Any] | None = None,  # noqa: A002  named by the schema
    first: int | None = None,
    after: str | None = None,
    without: QuerySet[Any] | None = None,
) -> Any:
    """A page of the ranked list that `search` returns for a seeker.

    The list may be older than this request. No page has rows that are deleted by now, that no longer match
    the filter, or that are in `without`.
    """
    connection, for_nodes = KINDS[kind]
    cursor = MatchCursor.parse(after) if after is not None else None
    values = filter_values(filter)
    ranked = search(values, snapshot=cursor.snapshot if cursor else None)
    rows = services.matching_rows(kind, values)
    if without is not None:
        rows = rows.exclude(pk__in=without)
    visible = keys_among([match.row_id for match in ranked.items], rows)
    snapshot = cursor.snapshot if cursor else ranked.snapshot
    page = page_of_matches(ranked.items, visible=visible, snapshot=snapshot, first=first, after=cursor)
    nodes = for_nodes(rows.order_by()).in_bulk([match.row_id for match in page.items])
    copies = PageAlternatives([match.row_id for match in page.items], rows, for_nodes)
    reasons = PageReasons(kind, page.items, seeker, ranked.retrieval.text_share)
    edges = [
        connection.Edge(
            node=nodes[match.row_id],
            cursor=edge_cursor,
            score=match.score,
            explanation=ReasonedMatch(**vars(match), page=reasons),
        )
        for match, edge_cursor in zip(page.items, page.cursors, strict=True)
        if match.row_id in nodes  # it may be deleted since the statement before
    ]
    for edge in edges:
        edge.copies = copies
    filled = connection(
        edges=edges, page_info=page_info(page), degraded=ranked.degraded, retrieval=ranked.retrieval
    )
    filled.count = Count(len(visible), is_estimate=False)
    filled.is_cacheable = not ranked.degraded
    return filled
