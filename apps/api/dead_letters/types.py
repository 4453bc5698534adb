from typing import Any

import graphene
from graphene import relay
from graphene_django import DjangoObjectType

from apps.api.connections import CountedConnection
from apps.api.enums import DeadLetterStateEnum, KindEnum
from apps.embeddings.models import DeadLetter


class DeadLetterNode(DjangoObjectType):
    class Meta:
        model = DeadLetter
        name = "DeadLetter"
        description = (
            "A row that could not be embedded, and why. Never its text. For users who may see dead letters."
        )
        interfaces = (relay.Node,)
        fields = ()
        use_connection = False

    kind = graphene.Field(KindEnum, required=True, description="What kind of row it is about")
    row_id = graphene.ID(required=True, description="Primary key of the row")
    model = graphene.String(required=True, description="Name and revision of the model")
    run_id = graphene.ID(description="Primary key of the run; null where that was pruned")
    state = graphene.Field(DeadLetterStateEnum, required=True, description="Where the letter is")
    step = graphene.String(
        required=True, description="Where it failed: encode, or chunk where no text was to blame"
    )
    error = graphene.String(required=True, description="What went wrong, without the text")
    traceback = graphene.String(required=True, description="Frames of the error; empty where there were none")
    attempts = graphene.Int(required=True, description="Attempts at its chunk until then")
    created_at = graphene.DateTime(required=True, description="When it was opened")
    updated_at = graphene.DateTime(required=True, description="When its state changed last")

    @staticmethod
    def resolve_model(root: DeadLetter, _info: Any) -> str:
        return str(root.model)


class DeadLetterConnection(CountedConnection):
    class Meta:
        node = DeadLetterNode
        strict_types = True


class DeadLetterFilterInput(graphene.InputObjectType):
    """Narrows down dead letters. All conditions must hold."""

    class Meta:
        name = "DeadLetterFilter"

    ids = graphene.List(graphene.NonNull(graphene.ID), description="These letters")
    state = DeadLetterStateEnum(description="In this state; open ones by default")
    kind = KindEnum(description="About this kind of row")
    row_id = graphene.ID(description="About the row with this primary key")
    run_id = graphene.ID(description="Of the run with this primary key")
    error = graphene.String(description="Whose error contains this, in any case")
