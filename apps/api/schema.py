"""The schema, composed of one package for each domain."""

import graphene

from apps.api.caches.mutations import CacheMutations
from apps.api.candidates.mutations import CandidateMutations
from apps.api.candidates.queries import CandidateQueries
from apps.api.dead_letters.mutations import DeadLetterMutations
from apps.api.dead_letters.queries import DeadLetterQueries
from apps.api.fields import with_facts
from apps.api.nodes import NodeQueries
from apps.api.postings.mutations import PostingMutations
from apps.api.postings.queries import PostingQueries
from apps.api.recommendations.mutations import RecommendationMutations
from apps.api.recommendations.queries import RecommendationQueries
from apps.api.runs.mutations import RunMutations
from apps.api.runs.queries import RunQueries
from apps.api.skills.queries import SkillQueries
from apps.api.statistics.queries import StatisticsQueries


class Query(
    PostingQueries,
    CandidateQueries,
    RecommendationQueries,
    SkillQueries,
    StatisticsQueries,
    RunQueries,
    DeadLetterQueries,
    NodeQueries,
):
    """All queries."""


class Mutation(
    PostingMutations,
    CandidateMutations,
    RecommendationMutations,
    RunMutations,
    DeadLetterMutations,
    CacheMutations,
):
    """All mutations."""


schema = with_facts(graphene.Schema(query=Query, mutation=Mutation))
