"""GraphQL types of ranked matches, their explanations and interactions."""

from datetime import datetime
from typing import Any

import graphene

from apps.api.access import user_of
from apps.api.candidates.types import CandidateNode
from apps.api.connections import CountedConnection
from apps.api.enums import EnglishLevelEnum, InteractionActionEnum
from apps.api.fields import CostlyField, LongList
from apps.api.postings.types import PostingNode
from apps.api.recommendations.alternatives import MAX_ALTERNATIVES
from apps.api.recommendations.reasons import ReasonedMatch
from apps.api.skills.types import SkillType, skill_entries
from apps.embeddings.models import Kind
from apps.recommendations.matches import Match, Retrieval
from apps.recommendations.reasons import MAX_WHAT_IF
from apps.skills.directory import SkillEntry

SENTENCES_COST = 300  # of each match: those of a page of ten take about as long as six searches
VIEW_RETRIEVAL = "embeddings.view_embeddingrun"  # for anyone who operates runs


class ScorePart(graphene.ObjectType):
    """One part of a score."""

    name = graphene.String(
        required=True, description="Name of the part: vector, text, title, coverage, overlap, experience, …"
    )
    value = graphene.Float(required=True, description="Value of the part, between 0 and 1")
    weight = graphene.Float(
        required=True, description="Weight of the part in the scores of the list; all its weights add up to 1"
    )


class SentencesType(graphene.ObjectType):
    """The two sentences that carry a match: those whose vectors are nearest."""

    class Meta:
        name = "CarryingSentences"

    posting = graphene.String(required=True, description="Sentence of the posting")
    profile = graphene.String(
        required=True,
        description="Sentence of the candidate, profile or search; of the other posting in similarPostings",
    )
    similarity = graphene.Float(required=True, description="Cosine of the vectors of the two sentences")


class WhatIfType(graphene.ObjectType):
    """What one more skill would change."""

    class Meta:
        name = "WhatIf"

    skill = graphene.Field(SkillType, required=True, description="A skill that the candidate lacks")
    score = graphene.Float(
        required=True,
        description="Score of the match if the candidate had the skill; the texts stay as they are",
    )


class Explanation(graphene.ObjectType):
    """Why a match has its score: the sum of value × weight over its parts. Unknown parts count 0."""

    vector_score = graphene.Float(
        description="Similarity of the vectors of the two texts; null if there was no vector"
    )
    text_score = graphene.Float(
        description=(
            "Full-text similarity: terms in both texts, weighted by rarity; the better one of the title and "
            "the whole text; null if unknown"
        )
    )
    skill_overlap = graphene.Float(
        description="Skills in common divided by all skills of the two, by rarity; null if unknown"
    )
    skill_coverage = graphene.Float(
        description=(
            "Share of the posting's skills that the candidate has; rare ones, and those in the title or "
            "listed by the source, count more"
        )
    )
    interest = graphene.Float(
        description="Highest similarity to a posting that the candidate saved or applied for; null if none"
    )
    experience_fit = graphene.Float(description="1 if the years of experience are enough, otherwise less")
    english_fit = graphene.Float(description="1 if the level of English is high enough, otherwise less")
    location_fit = graphene.Float(
        description=(
            "1 if remote or in the same city, 0.7 region, 0.4 country, else 0, also if the remote work is "
            "limited to other countries; the best of all places; null if none is given"
        )
    )
    salary_fit = graphene.Float(
        description="1 if the posting pays the expected salary, otherwise its salary ÷ the expected one"
    )
    freshness = graphene.Float(description="1 on the day of publication, halved with each half-life")
    parts = graphene.List(
        graphene.NonNull(ScorePart), required=True, description="All known parts, with their weights"
    )
    matched_skills = graphene.List(
        graphene.NonNull(SkillType),
        required=True,
        description="Skills that are asked for and that the candidate has",
    )
    missing_skills = graphene.List(
        graphene.NonNull(SkillType),
        required=True,
        description="Skills that are asked for and that the candidate lacks",
    )
    extra_skills = graphene.List(
        graphene.NonNull(SkillType),
        required=True,
        description="Skills that the candidate has and that are not asked for",
    )
    sentences = CostlyField(
        SentencesType,
        cost=SENTENCES_COST,
        description="Sentences that carry the match; null without a text or the embedding server",
    )
    what_if = LongList(
        WhatIfType,
        length=MAX_WHAT_IF,
        required=True,
        description=f"Up to {MAX_WHAT_IF} missing skills that would raise the score most; empty in "
        "similarPostings and skillMatch",
    )

    @staticmethod
    def resolve_vector_score(root: Match, _info: Any) -> float | None:
        return root.parts.get("vector")

    @staticmethod
    def resolve_text_score(root: Match, _info: Any) -> float | None:
        return max(
            filter(None, (root.parts.get("text"), root.parts.get("title"))), default=root.parts.get("text")
        )

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

    @staticmethod
    def resolve_sentences(root: Match, info: Any) -> SentencesType | None:
        if not isinstance(root, ReasonedMatch):
            return None
        carrying = root.page.sentences_of(root, info.context)
        if carrying is None:
            return None
        posting, profile = carrying.row, carrying.seeker
        if root.page.kind == Kind.CANDIDATE:
            posting, profile = profile, posting
        return SentencesType(posting=posting, profile=profile, similarity=carrying.similarity)

    @staticmethod
    def resolve_what_if(root: Match, info: Any) -> list[WhatIfType]:
        tried = root.page.what_if_of(root) if isinstance(root, ReasonedMatch) else []
        skills = {entry.id: entry for entry in skill_entries(info, [each.skill_id for each in tried])}
        return [
            WhatIfType(skill=skills[each.skill_id], score=each.score)
            for each in tried
            if each.skill_id in skills
        ]


class MatchEdge:
    """The fields that an edge of matches has in addition to node and cursor."""

    score = graphene.Float(required=True, description="How well the match fits, between 0 and 1")
    explanation = graphene.Field(Explanation, required=True, description="Why the match has this score")


class RetrievalPhase(graphene.ObjectType):
    """One step of a retrieval."""

    name = graphene.String(
        required=True, description="Name of the step: vector, text, skills, scores or ranking"
    )
    milliseconds = graphene.Float(required=True, description="Duration of the step in milliseconds")


class RetrievalType(graphene.ObjectType):
    """How matches were retrieved."""

    class Meta:
        name = "Retrieval"

    strategy = graphene.String(
        required=True,
        description="Vector search: exact, hnsw, hnsw+exact if the index returned too few rows, or none",
    )
    matching = graphene.Int(
        description="Rows that match the filter, counted only as far as the choice of the strategy needs"
    )
    ef_search = graphene.Int(required=True, description="hnsw.ef_search of the index scan; 0 without one")
    by_vector = graphene.Int(required=True, description="Rows found by vector search")
    by_text = graphene.Int(required=True, description="Rows found by full-text search")
    by_skills = graphene.Int(required=True, description="Rows found by skills, if there is no vector")
    copies = graphene.Int(
        required=True, description="Postings found that are copies of one in the list, which they are not in"
    )
    terms = graphene.Int(name="words", required=True, description="Number of distinct terms of the query")
    terms_searched = graphene.Int(
        name="wordsSearched", required=True, description="Number of terms searched for, the rarest ones"
    )
    text_share = graphene.Float(
        required=True,
        description="Fraction of its full weight that the text score has; it grows with the number of terms",
    )
    computed_at = graphene.DateTime(
        required=True, description="When the matches were computed; they may come from the cache"
    )
    phases = graphene.List(
        graphene.NonNull(RetrievalPhase), required=True, description="The steps, with their durations"
    )

    @staticmethod
    def resolve_computed_at(root: Retrieval, _info: Any) -> datetime:
        return datetime.fromisoformat(root.computed_at)

    @staticmethod
    def resolve_phases(root: Retrieval, _info: Any) -> list[RetrievalPhase]:
        return [RetrievalPhase(name=name, milliseconds=value) for name, value in root.milliseconds.items()]


class MatchConnection(CountedConnection):
    """A connection of ranked matches."""

    class Meta:
        abstract = True

    degraded = graphene.Boolean(
        required=True,
        description=(
            "True if no query vector was available. "
            "Results come from full-text search and skills only; try again later."
        ),
    )
    retrieval = graphene.Field(
        RetrievalType,
        description="How the matches were retrieved; null unless the user may see embedding runs",
    )

    @staticmethod
    def resolve_retrieval(root: Any, info: Any) -> Retrieval | None:
        return root.retrieval if user_of(info).has_perm(VIEW_RETRIEVAL) else None


class PostingMatchConnection(MatchConnection):
    """The type PostingMatchConnection."""

    class Meta:
        node = PostingNode
        name = "PostingMatchConnection"
        strict_types = True

    class Edge(MatchEdge):
        """An edge of this connection."""

        alternative_count = graphene.Int(
            required=True,
            description=(
                "Copies of the posting that match the filter too, such as the same job in other places; the "
                "list shows only the one that fits best"
            ),
        )
        alternatives = LongList(
            PostingNode,
            length=MAX_ALTERNATIVES,
            required=True,
            description=f"Up to {MAX_ALTERNATIVES} of these copies, the newest first",
        )

        @staticmethod
        def resolve_alternative_count(root: Any, _info: Any) -> int:
            return len(root.copies.of(root.explanation.row_id))

        @staticmethod
        def resolve_alternatives(root: Any, _info: Any) -> list[Any]:
            return root.copies.nodes_of(root.explanation.row_id)  # type: ignore[no-any-return]


class CandidateMatchConnection(MatchConnection):
    """The type CandidateMatchConnection."""

    class Meta:
        node = CandidateNode
        name = "CandidateMatchConnection"
        strict_types = True

    class Edge(MatchEdge):
        """An edge of this connection."""


class ProfileInput(graphene.InputObjectType):
    """A person who is not stored. The text is not stored; the matches are cached while a cursor is valid."""

    text = graphene.String(description="A résumé or a few words. Skills that it names are added to `skills`")
    skills = graphene.List(
        graphene.NonNull(graphene.String), description="Names of skills; aliases are understood"
    )
    experience_years = graphene.Float(description="Years of experience")
    english_level = EnglishLevelEnum(description="Level of English")
    city = graphene.String(description="City")
    region = graphene.String(description="Region")
    country = graphene.String(description="Country, by name or ISO 3166 code")
    remote = graphene.Boolean(description="True if the person wants remote work")
    salary_per_year = graphene.Float(description="Salary expected, per year")
    salary_currency = graphene.String(description="ISO 4217 code of salaryPerYear")


class InteractionType(graphene.ObjectType):
    """What a candidate did with a posting, and when this happened last."""

    class Meta:
        name = "Interaction"

    candidate_id = graphene.ID(required=True, description="Primary key of the candidate")
    posting_id = graphene.ID(required=True, description="Primary key of the posting")
    action = graphene.Field(InteractionActionEnum, required=True, description="What the candidate did")
    at = graphene.DateTime(required=True, description="When the candidate did it last")
