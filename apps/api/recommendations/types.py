from datetime import datetime
from typing import Any

import graphene

from apps.api.access import user_of
from apps.api.candidates.types import CandidateNode
from apps.api.connections import CountedConnection
from apps.api.enums import EnglishLevelEnum, InteractionActionEnum
from apps.api.postings.types import PostingNode
from apps.api.skills.types import SkillType, skill_entries
from apps.recommendations.matches import Match, Retrieval
from apps.skills.directory import SkillEntry

EXPLAIN = "embeddings.view_embeddingrun"  # who watches the runs watches retrieval too


class ScorePart(graphene.ObjectType):
    """One part of a score."""

    name = graphene.String(required=True, description="vector, coverage, overlap, experience, english, …")
    value = graphene.Float(required=True, description="Between 0 and 1")
    weight = graphene.Float(
        required=True, description="Its share in the score; the shares of a score add up to 1"
    )


class Explanation(graphene.ObjectType):
    """Why a match has its score: the score is the sum of value × weight over its parts."""

    vector_score = graphene.Float(
        description="Nearness of the two texts' vectors; null where there was no vector"
    )
    text_score = graphene.Float(
        description="Nearness of the two texts by the words they share, rare words more; null where unknown"
    )
    skill_overlap = graphene.Float(
        description="Skills in common, of all skills of either; null where unknown"
    )
    skill_coverage = graphene.Float(description="Share of the posting's skills that the candidate has")
    interest = graphene.Float(
        description="Highest nearness to another posting that the candidate saved or applied for; null without one"
    )
    experience_fit = graphene.Float(description="1 where the experience is enough, less where it falls short")
    english_fit = graphene.Float(description="1 where the English is good enough, less below")
    location_fit = graphene.Float(
        description="1 remote or same city, 0.7 same region, 0.4 same country, else 0; null where no place is asked for"
    )
    salary_fit = graphene.Float(
        description="1 where the posting pays what is expected, else pay ÷ expectation"
    )
    freshness = graphene.Float(description="1 on the day of publication, half of it every 30 days")
    parts = graphene.List(
        graphene.NonNull(ScorePart), required=True, description="All parts, with their weights"
    )
    matched_skills = graphene.List(
        graphene.NonNull(SkillType), required=True, description="Skills asked for that the candidate has"
    )
    missing_skills = graphene.List(
        graphene.NonNull(SkillType), required=True, description="Skills asked for that the candidate lacks"
    )
    extra_skills = graphene.List(
        graphene.NonNull(SkillType),
        required=True,
        description="Skills of the candidate that nobody asked for",
    )

    @staticmethod
    def resolve_vector_score(root: Match, _info: Any) -> float | None:
        return root.parts.get("vector")

    @staticmethod
    def resolve_text_score(root: Match, _info: Any) -> float | None:
        return root.parts.get("text")

    @staticmethod
    def resolve_interest(root: Match, _info: Any) -> float | None:
        return root.parts.get("interest")

    @staticmethod
    def resolve_skill_overlap(root: Match, _info: Any) -> float | None:
        return root.parts.get("overlap")

    @staticmethod
    def resolve_skill_coverage(root: Match, _info: Any) -> float | None:
        return root.parts.get("coverage")

    @staticmethod
    def resolve_experience_fit(root: Match, _info: Any) -> float | None:
        return root.parts.get("experience")

    @staticmethod
    def resolve_english_fit(root: Match, _info: Any) -> float | None:
        return root.parts.get("english")

    @staticmethod
    def resolve_location_fit(root: Match, _info: Any) -> float | None:
        return root.parts.get("location")

    @staticmethod
    def resolve_salary_fit(root: Match, _info: Any) -> float | None:
        return root.parts.get("salary")

    @staticmethod
    def resolve_freshness(root: Match, _info: Any) -> float | None:
        return root.parts.get("freshness")

    @staticmethod
    def resolve_parts(root: Match, _info: Any) -> list[ScorePart]:
        return [
            ScorePart(name=each.name, value=each.value, weight=each.weight) for each in root.weighted_parts()
        ]

    @staticmethod
    def resolve_matched_skills(root: Match, info: Any) -> list[SkillEntry]:
        return skill_entries(info, root.matched_skills)

    @staticmethod
    def resolve_missing_skills(root: Match, info: Any) -> list[SkillEntry]:
        return skill_entries(info, root.missing_skills)

    @staticmethod
    def resolve_extra_skills(root: Match, info: Any) -> list[SkillEntry]:
        return skill_entries(info, root.extra_skills)


class MatchEdge:
    """Fields of an edge of matches, besides node and cursor."""

    score = graphene.Float(required=True, description="How well it fits, between 0 and 1")
    explanation = graphene.Field(Explanation, required=True, description="Where the score comes from")


class RetrievalPhase(graphene.ObjectType):
    """One step of a retrieval."""

    name = graphene.String(required=True, description="vector, text, skills, scores or ranking")
    milliseconds = graphene.Float(required=True, description="How long it took")


class RetrievalType(graphene.ObjectType):
    """How matches were retrieved."""

    class Meta:
        name = "Retrieval"

    strategy = graphene.String(
        required=True,
        description="Of the vector search: exact, hnsw, hnsw+exact where the index returned too few, or none",
    )
    matching = graphene.Int(description="Rows that the filter leaves, counted no further than needed")
    ef_search = graphene.Int(required=True, description="Breadth of the index walk; 0 without one")
    by_vector = graphene.Int(required=True, description="Rows found by vector")
    by_text = graphene.Int(required=True, description="Rows found by words")
    by_skills = graphene.Int(required=True, description="Rows found by skills, where there is no vector")
    terms = graphene.Int(name="words", required=True, description="Different words of the query")
    terms_searched = graphene.Int(
        name="wordsSearched", required=True, description="The rarest of them, which were looked up"
    )
    text_share = graphene.Float(
        required=True, description="Share of its weight that the text score has; grows with the words"
    )
    computed_at = graphene.DateTime(required=True, description="When: the answer may come from the cache")
    phases = graphene.List(
        graphene.NonNull(RetrievalPhase), required=True, description="How long each step took"
    )

    @staticmethod
    def resolve_computed_at(root: Retrieval, _info: Any) -> datetime:
        return datetime.fromisoformat(root.computed_at)

    @staticmethod
    def resolve_phases(root: Retrieval, _info: Any) -> list[RetrievalPhase]:
        return [RetrievalPhase(name=name, milliseconds=value) for name, value in root.milliseconds.items()]


class MatchConnection(CountedConnection):
    """What connections of matches share."""

    class Meta:
        abstract = True

    degraded = graphene.Boolean(
        required=True, description="A part behind was gone; words and skills answered: ask again later"
    )
    retrieval = graphene.Field(
        RetrievalType, description="How these were retrieved; null but for users who may see embedding runs"
    )

    @staticmethod
    def resolve_retrieval(root: Any, info: Any) -> Retrieval | None:
        return root.retrieval if user_of(info).has_perm(EXPLAIN) else None


class PostingMatchConnection(MatchConnection):
    class Meta:
        node = PostingNode
        name = "PostingMatchConnection"
        strict_types = True

    class Edge(MatchEdge):
        pass


class CandidateMatchConnection(MatchConnection):
    class Meta:
        node = CandidateNode
        name = "CandidateMatchConnection"
        strict_types = True

    class Edge(MatchEdge):
        pass


class ProfileInput(graphene.InputObjectType):
    """Somebody who is not stored. The text is not kept; the matches are, for as long as a cursor leads to them."""

    text = graphene.String(description="A résumé, or a few words; skills named in it are found")
    skills = graphene.List(
        graphene.NonNull(graphene.String), description="Names of skills; aliases are understood"
    )
    experience_years = graphene.Float(description="Years of experience")
    english_level = EnglishLevelEnum(description="Level of English")
    city = graphene.String(description="City")
    region = graphene.String(description="Region")
    country = graphene.String(description="Country")
    remote = graphene.Boolean(description="Whether remote work is wanted")
    salary_per_year = graphene.Float(description="Salary expected, per year")
    salary_currency = graphene.String(description="ISO 4217 code of salaryPerYear")


class InteractionType(graphene.ObjectType):
    """What a candidate did with a posting, and when last."""

    class Meta:
        name = "Interaction"

    candidate_id = graphene.ID(required=True, description="Primary key of the candidate")
    posting_id = graphene.ID(required=True, description="Primary key of the posting")
    action = graphene.Field(InteractionActionEnum, required=True, description="What was done")
    at = graphene.DateTime(required=True, description="When it was done last")
