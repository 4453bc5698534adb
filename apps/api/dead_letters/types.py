"""GraphQL types of dead letters."""

from typing import Any

import graphene
from graphene import relay
from graphene_django import DjangoObjectType

from apps.api.connections import CountedConnection
from apps.api.enums import DeadLetterStateEnum, KindEnum
from apps.embeddings.models import DeadLetter


class DeadLetterNode(DjangoObjectType):
    """The type DeadLetter. Rows come with their model."""

    class Meta:
        model = DeadLetter
        name = "DeadLetter"
        description = (
            "A row that could not be embedded, and why; never its text. For users who may see dead letters."
        )
        interfaces = (relay.Node,)
        fields = ()
        use_connection = False

    kind = graphene.Field(KindEnum, required=True, description="Kind of the row")
    row_id = graphene.ID(required=True, description="Primary key of the row")
    model = graphene.String(required=True, description="Name and revision of the model")
    run_id = graphene.ID(description="Primary key of the run; null if the run has been pruned")
    state = graphene.Field(DeadLetterStateEnum, required=True, description="State of the dead letter")
    step = graphene.String(
        required=True, description="The step that failed: encode, or chunk if no single text was the cause"
    )
    error = graphene.String(required=True, description="The error, without the text of the row")
    traceback = graphene.String(
        required=True, description="Stack frames of the error; empty if there are none"
    )
    attempts = graphene.Int(required=True, description="Attempts at its chunk before the error was recorded")
    created_at = graphene.DateTime(required=True, description="When it was recorded")
    updated_at = graphene.DateTime(required=True, description="When its state last changed")

    @staticmethod
    def resolve_model(root: DeadLetter, _info: Any) -> str:
        return str(root.model)


class DeadLetterConnection(CountedConnection):
    """The type DeadLetterConnection."""

    class Meta:
        node = DeadLetterNode
        strict_types = True


class DeadLetterFilterInput(graphene.InputObjectType):
    """Conditions on dead letters. All of them must hold."""

    class Meta:
        name = "DeadLetterFilter"

    ids = graphene.List(
        graphene.NonNull(graphene.ID), description="Global ids or primary keys of the dead letters"
    )
    state = DeadLetterStateEnum(description="State; open by default")
    kind = KindEnum(description="Kind of the row")
    row_id = graphene.ID(description="Primary key of the row")
    run_id = graphene.ID(description="Global id or primary key of the run")
    error = graphene.String(description="Text that the error contains, in upper or lower case")
