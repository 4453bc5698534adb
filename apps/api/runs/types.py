"""GraphQL types of embedding runs."""

from typing import Any

import graphene
from graphene import relay
from graphene_django import DjangoObjectType

from apps.api.connections import CountedConnection
from apps.api.enums import KindEnum, RunStateEnum
from apps.embeddings.models import EmbeddingRun


class EmbeddingRunNode(DjangoObjectType):
    """The type EmbeddingRun. Rows come from `EmbeddingRunQuerySet.with_progress`."""

    class Meta:
        model = EmbeddingRun
        name = "EmbeddingRun"
        description = "One run of one model over the pending rows of one kind. For users who may see runs."
        interfaces = (relay.Node,)
        fields = ()
        use_connection = False

    kind = graphene.Field(KindEnum, required=True, description="The kind of rows that it embeds")
    model = graphene.String(required=True, description="Name and revision of the model")
    state = graphene.Field(RunStateEnum, required=True, description="State of the run")
    reason = graphene.String(required=True, description="Who or what requested it")
    paused_because = graphene.String(required=True, description="Why it is paused; empty if it is not")
    resume_at = graphene.DateTime(description="When it resumes by itself; null if someone must resume it")
    rows = graphene.Int(required=True, description="Number of rows that were pending when it was planned")
    rows_embedded = graphene.Int(required=True, description="Number of rows whose chunk is embedded")
    rows_written = graphene.Int(required=True, description="Number of rows whose vector is written")
    rows_dead = graphene.Int(required=True, description="Number of rows that are dead letters")
    created_at = graphene.DateTime(required=True, description="When it was requested")
    started_at = graphene.DateTime(description="When it was planned")
    finished_at = graphene.DateTime(description="When its last chunk was finished")

    @staticmethod
    def resolve_model(root: EmbeddingRun, _info: Any) -> str:
        return str(root.model)

    @staticmethod
    def resolve_rows_embedded(root: EmbeddingRun, _info: Any) -> int:
        return root.progress().embedded

    @staticmethod
    def resolve_rows_written(root: EmbeddingRun, _info: Any) -> int:
        return root.progress().written

    @staticmethod
    def resolve_rows_dead(root: EmbeddingRun, _info: Any) -> int:
        return root.progress().dead


class EmbeddingRunConnection(CountedConnection):
    """The type EmbeddingRunConnection."""

    class Meta:
        node = EmbeddingRunNode
        strict_types = True
