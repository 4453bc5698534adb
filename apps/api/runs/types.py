from typing import Any

import graphene
from graphene import relay
from graphene_django import DjangoObjectType

from apps.api.connections import CountedConnection
from apps.api.enums import KindEnum, RunStateEnum
from apps.embeddings.models import EmbeddingRun


class EmbeddingRunNode(DjangoObjectType):
    class Meta:
        model = EmbeddingRun
        name = "EmbeddingRun"
        description = "One pass of one model over one kind. For users who may see runs."
        interfaces = (relay.Node,)
        fields = ()
        use_connection = False

    kind = graphene.Field(KindEnum, required=True, description="What is embedded")
    model = graphene.String(required=True, description="Name and revision of the model")
    state = graphene.Field(RunStateEnum, required=True, description="Where the run is")
    reason = graphene.String(required=True, description="Who or what asked for it")
    paused_because = graphene.String(required=True, description="Why it is paused; empty where it is not")
    resume_at = graphene.DateTime(description="When it goes on by itself; null where somebody must resume it")
    rows = graphene.Int(required=True, description="Rows that were pending when it was planned")
    rows_embedded = graphene.Int(required=True, description="Rows whose chunk is embedded")
    rows_written = graphene.Int(required=True, description="Rows whose vector queries find")
    rows_dead = graphene.Int(required=True, description="Rows that are dead letters")
    created_at = graphene.DateTime(required=True, description="When it was asked for")
    started_at = graphene.DateTime(description="When it was planned")
    finished_at = graphene.DateTime(description="When its last chunk was done")

    @staticmethod
    def resolve_model(root: EmbeddingRun, _info: Any) -> str:
        return str(root.model)

    # Read in one query for a page of runs, see EmbeddingRunQuerySet.with_progress.
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
    class Meta:
        node = EmbeddingRunNode
        strict_types = True
