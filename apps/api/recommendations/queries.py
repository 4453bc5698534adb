from collections.abc import Callable
from typing import Any

import graphene
from django.db.models import QuerySet

from apps.api.access import require, require_for_candidate
from apps.api.candidates import queries as candidates
from apps.api.candidates.types import CandidateFilterInput
from apps.api.connections import page_info
from apps.api.errors import bad_field
from apps.api.filters import filter_values
from apps.api.ids import primary_key
from apps.api.paging import page_of_scored
from apps.api.postings import queries as postings
from apps.api.postings.types import PostingFilterInput
from apps.api.recommendations.types import CandidateMatchConnection, PostingMatchConnection, ProfileInput
from apps.api.translation import translated
from apps.candidates.models import Candidate
from apps.postings.models import Posting
from apps.recommendations import services
from apps.recommendations.matches import Matches
from apps.recommendations.profiles import Profile

FIRST = graphene.Int(description="Size of the page, at most 100; 20 by default")
AFTER = graphene.String(description="Cursor to go on after")
POSTING_FILTER = PostingFilterInput(
    description="Narrows the postings down; open ones only, unless openOnly is false"
)
CANDIDATE_FILTER = CandidateFilterInput(description="Narrows the candidates down")
LONGEST_TEXT = 100_000  # characters


def _field(connection: Any, filter_type: Any, description: str, **arguments: Any) -> graphene.Field:
    return graphene.Field(
        connection,
        filter=filter_type,
        first=FIRST,
        after=AFTER,
        required=True,
        description=description,
        **arguments,
    )


class RecommendationQueries(graphene.ObjectType):
    recommended_postings = _field(
        PostingMatchConnection,
        POSTING_FILTER,
        "Postings that fit a candidate, the best first. For recruiters, and for the candidate itself.",
        candidate_id=graphene.ID(required=True, description="Global id, or primary key"),
    )
    recommended_candidates = _field(
        CandidateMatchConnection,
        CANDIDATE_FILTER,
        "Candidates that fit a posting, the best first. For recruiters.",
        posting_id=graphene.ID(required=True, description="Global id, or primary key"),
    )
    similar_postings = _field(
        PostingMatchConnection,
        POSTING_FILTER,
        "Postings like a posting, by text and skills",
        posting_id=graphene.ID(required=True, description="Global id, or primary key"),
    )
    recommended_postings_for_profile = _field(
        PostingMatchConnection,
        POSTING_FILTER,
        "Postings that fit somebody who is not stored",
        profile=ProfileInput(required=True, description="What is known of the person"),
    )
    search_postings = _field(
        PostingMatchConnection,
        POSTING_FILTER,
        "Postings for a search by words and skills",
        text=graphene.String(description="What is looked for"),
        skills=graphene.List(graphene.NonNull(graphene.String), description="Skills; aliases are understood"),
        experience_years=graphene.Float(description="Years of experience of the person"),
    )
    search_candidates = _field(
        CandidateMatchConnection,
        CANDIDATE_FILTER,
        "Candidates for a search by words and skills. For recruiters.",
        text=graphene.String(description="What is looked for"),
        skills=graphene.List(graphene.NonNull(graphene.String), description="Skills; aliases are understood"),
        experience_years=graphene.Float(description="Years of experience asked for"),
    )

    @staticmethod
    @translated
    def resolve_recommended_postings(_root: None, info: Any, candidate_id: str, **page: Any) -> Any:
        key = primary_key(candidate_id, of="Candidate", argument="candidateId")
        require_for_candidate(info, key, candidates.VIEW)
        return _postings(services.recommended_postings(key, filter_values(page.pop("filter", None))), **page)

    @staticmethod
    @translated
    def resolve_recommended_candidates(_root: None, info: Any, posting_id: str, **page: Any) -> Any:
        require(info, candidates.VIEW)
        key = primary_key(posting_id, of="Posting", argument="postingId")
        return _candidates(
            services.recommended_candidates(key, filter_values(page.pop("filter", None))), **page
        )

    @staticmethod
    @translated
    def resolve_similar_postings(_root: None, _info: Any, posting_id: str, **page: Any) -> Any:
        key = primary_key(posting_id, of="Posting", argument="postingId")
        return _postings(services.similar_postings(key, filter_values(page.pop("filter", None))), **page)

    @staticmethod
    @translated
    def resolve_recommended_postings_for_profile(
        _root: None, _info: Any, profile: dict[str, Any], **page: Any
    ) -> Any:
        found = services.postings_for_profile(
            _profile(profile, "profile."), filter_values(page.pop("filter", None))
        )
        return _postings(found, **page)

    @staticmethod
    @translated
    def resolve_search_postings(_root: None, _info: Any, **arguments: Any) -> Any:
        found = services.postings_for_profile(*_search(arguments))
        return _postings(found, **arguments)

    @staticmethod
    @translated
    def resolve_search_candidates(_root: None, info: Any, **arguments: Any) -> Any:
        require(info, candidates.VIEW)
        found = services.candidates_for_profile(*_search(arguments))
        return _candidates(found, **arguments)


def _search(arguments: dict[str, Any]) -> tuple[Profile, dict[str, Any]]:
    """(profile, filter) of a search; what is left in `arguments` is the page."""
    given = {name: arguments.pop(name, None) for name in ("text", "skills", "experience_years")}
    return _profile(given, ""), filter_values(arguments.pop("filter", None))


def _profile(given: dict[str, Any], prefix: str) -> Profile:
    values = {name: getattr(value, "value", value) for name, value in given.items() if value is not None}
    values["skills"] = tuple(values.get("skills", ()))
    text = values.get("text", "").strip()
    if not text and not values["skills"]:
        raise bad_field(f"{prefix}text", "give a text or skills")
    if len(text) > LONGEST_TEXT:
        raise bad_field(f"{prefix}text", f"{len(text):,} characters are too many, at most {LONGEST_TEXT:,}")
    if "\x00" in text:
        raise bad_field(f"{prefix}text", "holds a NUL character")
    return Profile(**values | {"text": text})


def _postings(matches: Matches, *, first: int | None = None, after: str | None = None) -> Any:
    return _connection(
        PostingMatchConnection, Posting.objects.all(), postings.for_nodes, matches, first, after
    )


def _candidates(matches: Matches, *, first: int | None = None, after: str | None = None) -> Any:
    return _connection(
        CandidateMatchConnection, Candidate.objects.all(), candidates.for_nodes, matches, first, after
    )


def _connection(
    connection: Any,
    rows: QuerySet[Any],
    for_nodes: Callable[[QuerySet[Any]], QuerySet[Any]],
    matches: Matches,
    first: int | None,
    after: str | None,
) -> Any:
    page = page_of_scored(matches.items, lambda match: (match.score, match.row_id), first=first, after=after)
    nodes = for_nodes(rows).in_bulk([match.row_id for match in page.items])
    edges = [
        connection.Edge(node=nodes[match.row_id], cursor=cursor, score=match.score, explanation=match)
        for match, cursor in zip(page.items, page.cursors, strict=True)
        if match.row_id in nodes  # deleted since the answer was cached
    ]
    filled = connection(edges=edges, page_info=page_info(page), degraded=matches.degraded)
    filled.count = lambda: len(matches.items)
    return filled
