"""Queries that return counts and distributions."""

from collections.abc import Sequence
from typing import Any

import graphene

from apps.api.access import may, require, require_for_candidate
from apps.api.candidates.queries import VIEW_CANDIDATES
from apps.api.enums import KindEnum, enum_value
from apps.api.errors import bad_field
from apps.api.fields import SEARCH_COST, RootField
from apps.api.ids import primary_key
from apps.api.inputs import checked_names, checked_text
from apps.api.paging import page_size
from apps.api.statistics.types import (
    CategoryDistributionType,
    CompanyShareType,
    Dashboard,
    DashboardType,
    SkillMatchType,
    StatisticsType,
)
from apps.api.translation import translated
from apps.embeddings.models import Kind
from apps.recommendations.skill_match import skill_match
from apps.records.filters import MAX_LIST_ENTRIES
from apps.skills.directory import entries_of
from apps.statistics import services
from apps.statistics.services import CategoryDistribution, CompanyShare

TOP = graphene.Int(description="Number of values in each list, at most 100; 20 by default")
SKILLS = graphene.List(
    graphene.NonNull(graphene.String), description="Names of skills; aliases are understood"
)
MAX_TEXT_CHARACTERS = 1_000


class StatisticsQueries(graphene.ObjectType):
    """The queries of this module, as a part of the schema's Query."""

    top_companies = RootField(
        graphene.List(graphene.NonNull(CompanyShareType)),
        cost=SEARCH_COST,
        reads=("postings",),
        first=graphene.Int(description="Number of companies, at most 100; 20 by default"),
        required=True,
        description="The companies with the most open postings",
    )
    dashboard = RootField(
        DashboardType,
        cost=SEARCH_COST,
        reads=("candidates", "postings", "skills"),
        kind=KindEnum(required=True, description="The kind of rows"),
        first=TOP,
        required=True,
        description="Overview of one kind of rows. Exact figures of candidates are for recruiters: others "
        "see no group of fewer than five, counts rounded to five, and figures that are renewed once at "
        "least five candidates have changed",
    )
    search_statistics = RootField(
        StatisticsType,
        cost=SEARCH_COST,
        reads=("postings", "skills"),  # with candidates for recruiters only, whose responses are not cached
        text=graphene.String(description="Terms that title, skills and text must all contain together"),
        skills=SKILLS,
        kind=KindEnum(required=True, description="The kind of rows; candidates are for recruiters"),
        first=TOP,
        required=True,
        description="Distributions over the open postings or the candidates that meet the conditions",
    )
    skill_match = RootField(
        SkillMatchType,
        cost=0,
        reads=("postings", "skills"),  # with a candidate for its owner and recruiters only
        posting_id=graphene.ID(required=True, description="Global id or primary key of the posting"),
        candidate_id=graphene.ID(
            description="Global id or primary key of the candidate. For recruiters and the candidate itself"
        ),
        skills=SKILLS,
        required=True,
        description="Skills of a posting compared with those of a candidate: give candidateId or skills",
    )
    category_distribution = RootField(
        CategoryDistributionType,
        cost=0,
        reads=("skills",),
        skills=graphene.List(
            graphene.NonNull(graphene.String),
            required=True,
            description="Names of skills; aliases are understood",
        ),
        required=True,
        description="How skills are distributed over categories",
    )

    @staticmethod
    def resolve_top_companies(_root: None, _info: Any, first: int | None = None) -> list[CompanyShare]:
        return services.top_companies(first=page_size(first))

    @staticmethod
    def resolve_dashboard(_root: None, info: Any, kind: Any, first: int | None = None) -> Dashboard:
        wanted = enum_value(kind)
        is_exact = wanted != Kind.CANDIDATE or may(info, VIEW_CANDIDATES)
        return Dashboard(wanted, page_size(first), is_exact=is_exact)

    @staticmethod
    @translated
    def resolve_search_statistics(
        _root: None,
        info: Any,
        kind: Any,
        text: str = "",
        skills: Sequence[str] = (),
        first: int | None = None,
    ) -> Any:
        wanted = enum_value(kind)
        if wanted == Kind.CANDIDATE:
            require(info, VIEW_CANDIDATES)  # the statistics of a single candidate would describe a person
        return services.search_statistics(
            wanted,
            text=checked_text(text, argument="text", max_characters=MAX_TEXT_CHARACTERS),
            skills=checked_names(skills, argument="skills", max_names=MAX_LIST_ENTRIES),
            first=page_size(first),
        )

    @staticmethod
    @translated
    def resolve_skill_match(
        _root: None,
        info: Any,
        posting_id: str,
        candidate_id: str | None = None,
        skills: Sequence[str] | None = None,
    ) -> SkillMatchType:
        posting = primary_key(posting_id, of="Posting", argument="postingId")
        if (candidate_id is None) == (skills is None):
            raise bad_field("candidateId", "give either candidateId or skills")
        candidate = None
        if candidate_id is not None:
            candidate = primary_key(candidate_id, of="Candidate", argument="candidateId")
            require_for_candidate(info, candidate, VIEW_CANDIDATES)
        match = skill_match(
            posting,
            candidate_id=candidate,
            skills=checked_names(skills, argument="skills"),
            private=may(info, VIEW_CANDIDATES),
        )
        return SkillMatchType(
            coverage=match.parts.get("coverage"),
            overlap=match.parts.get("overlap"),
            matched_skills=entries_of(match.matched_skills),
            missing_skills=entries_of(match.missing_skills),
            extra_skills=entries_of(match.extra_skills),
        )

    @staticmethod
    def resolve_category_distribution(_root: None, info: Any, skills: Sequence[str]) -> CategoryDistribution:
        return services.category_distribution(
            checked_names(skills, argument="skills"), private=may(info, VIEW_CANDIDATES)
        )
