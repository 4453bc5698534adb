from typing import Any

import graphene
from graphene import relay
from graphene_django import DjangoObjectType

from apps.api.connections import CountedConnection
from apps.api.enums import DeadLetterStateEnum, KindEnum, RunStateEnum
from apps.embeddings.models import DeadLetter, EmbeddingRun


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
    rows = graphene.Int(required=True, description="Rows that were pending when it was planned")
    # These three are annotated, see EmbeddingRunQuerySet.with_progress.
    rows_embedded = graphene.Int(required=True, description="Rows whose chunk is embedded")
    rows_written = graphene.Int(required=True, description="Rows whose vector queries find")
    rows_dead = graphene.Int(required=True, description="Rows that became dead letters")
    created_at = graphene.DateTime(required=True, description="When it was asked for")
    started_at = graphene.DateTime(description="When it was planned")
    finished_at = graphene.DateTime(description="When its last chunk was done")

    @staticmethod
    def resolve_model(root: EmbeddingRun, _info: Any) -> str:
        return str(root.model)


class EmbeddingRunConnection(CountedConnection):
    class Meta:
        node = EmbeddingRunNode
        strict_types = True


class DeadLetterNode(DjangoObjectType):
    class Meta:
        model = DeadLetter
        name = "DeadLetter"
        description = (
            "A row that cannot be embedded, and why. Holds no text. For users who may see dead letters."
        )
        interfaces = (relay.Node,)
        fields = ()
        use_connection = False

    kind = graphene.Field(KindEnum, required=True, description="What the row is")
    row_id = graphene.ID(required=True, description="Primary key of the row")
    model = graphene.String(required=True, description="Name and revision of the model")
    step = graphene.String(required=True, description="Where it failed")
    error = graphene.String(required=True, description="Why, in a line")
    attempts = graphene.Int(required=True, description="How often it was tried")
    state = graphene.Field(DeadLetterStateEnum, required=True, description="What became of it")
    created_at = graphene.DateTime(required=True, description="When it failed for good")

    @staticmethod
    def resolve_model(root: DeadLetter, _info: Any) -> str:
        return str(root.model)


class DeadLetterConnection(CountedConnection):
    class Meta:
        node = DeadLetterNode
        strict_types = True
