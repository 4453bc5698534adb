"""Mutations that replay and discard dead letters."""

from typing import Any

import graphene

from apps.api.access import require
from apps.api.dead_letters.queries import selected
from apps.api.dead_letters.types import DeadLetterFilterInput
from apps.api.runs.types import EmbeddingRunNode
from apps.embeddings import dead_letters
from apps.embeddings.models import EmbeddingRun

CHANGE_DEAD_LETTERS = "embeddings.change_deadletter"


class ReplayDeadLetters(graphene.Mutation):
    """Embed the rows of dead letters again. For users who may change dead letters."""

    class Arguments:
        filter = DeadLetterFilterInput(
            required=True, description="The dead letters; {} selects all open ones"
        )

    rows = graphene.Int(required=True, description="Number of rows that are embedded again")
    runs = graphene.List(
        graphene.NonNull(EmbeddingRunNode), required=True, description="The runs that embed them"
    )
    retired = graphene.Int(
        required=True,
        description="Number of dead letters that stay as they are because their model is retired",
    )

    @staticmethod
    def mutate(_root: None, info: Any, filter: dict[str, Any]) -> "ReplayDeadLetters":  # noqa: A002  named by the schema
        require(info, CHANGE_DEAD_LETTERS)
        replayed = dead_letters.replay(selected(filter))
        return ReplayDeadLetters(
            rows=replayed.rows,
            retired=replayed.retired,
            runs=list(
                EmbeddingRun.objects.select_related("model").with_progress().filter(pk__in=replayed.runs)
            ),
        )


class DiscardDeadLetters(graphene.Mutation):
    """Accept that rows have no vector until they are edited. For users who may change dead letters."""

    class Arguments:
        filter = DeadLetterFilterInput(
            required=True, description="The dead letters; {} selects all open ones"
        )

    letters = graphene.Int(required=True, description="Number of dead letters that are discarded")

    @staticmethod
    def mutate(_root: None, info: Any, filter: dict[str, Any]) -> "DiscardDeadLetters":  # noqa: A002  named by the schema
        require(info, CHANGE_DEAD_LETTERS)
        return DiscardDeadLetters(letters=dead_letters.discard(selected(filter)))


class DeadLetterMutations(graphene.ObjectType):
    """The mutations of this module, as a part of the schema's Mutation."""

    replay_dead_letters = ReplayDeadLetters.Field(required=True)
    discard_dead_letters = DiscardDeadLetters.Field(required=True)
