"""Mutations that record what candidates do with postings."""

from typing import Any

import graphene

from apps.api.access import require_for_candidate
from apps.api.enums import InteractionActionEnum, enum_value
from apps.api.ids import primary_key
from apps.api.recommendations.types import InteractionType
from apps.api.translation import translated
from apps.recommendations.interactions import record_interaction


class RecordInteraction(graphene.Mutation):
    """Record what a candidate did with a posting. Dismissed and applied postings are not recommended again.

    For the candidate itself, and for users who may change candidates.
    """

    class Arguments:
        candidate_id = graphene.ID(required=True, description="Global id or primary key of the candidate")
        posting_id = graphene.ID(required=True, description="Global id or primary key of the posting")
        action = InteractionActionEnum(required=True, description="What the candidate did")

    interaction = graphene.Field(
        InteractionType, required=True, description="The interaction after the mutation"
    )

    @staticmethod
    @translated
    def mutate(
        _root: None, info: Any, candidate_id: str, posting_id: str, action: Any
    ) -> "RecordInteraction":
        candidate = primary_key(candidate_id, of="Candidate", argument="candidateId")
        posting = primary_key(posting_id, of="Posting", argument="postingId")
        require_for_candidate(info, candidate, "candidates.change_candidate")
        return RecordInteraction(interaction=record_interaction(candidate, posting, enum_value(action)))


class RecommendationMutations(graphene.ObjectType):
    """The mutations of this module, as a part of the schema's Mutation."""

    record_interaction = RecordInteraction.Field(required=True)
