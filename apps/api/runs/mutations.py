from typing import Any

import graphene

from apps.api.access import require, user_of
from apps.api.enums import KindEnum
from apps.api.runs.types import EmbeddingRunNode
from apps.embeddings.hints import start_due_runs
from apps.embeddings.models import EmbeddingRun


class StartEmbeddingRun(graphene.Mutation):
    """Starts a run over every model that lacks current vectors of a kind. For users who may add runs."""

    class Arguments:
        kind = KindEnum(required=True, description="What is to be embedded")

    runs = graphene.List(
        graphene.NonNull(EmbeddingRunNode),
        required=True,
        description="Runs that are open now, new ones among them; none where nothing is pending",
    )

    @staticmethod
    def mutate(_root: None, info: Any, kind: Any) -> "StartEmbeddingRun":
        require(info, "embeddings.add_embeddingrun")
        wanted = getattr(kind, "value", kind)
        start_due_runs([wanted], reason=f"asked for by {user_of(info)}")
        return StartEmbeddingRun(runs=list(EmbeddingRun.objects.unfinished().filter(kind=wanted)))


class RunMutations(graphene.ObjectType):
    start_embedding_run = StartEmbeddingRun.Field(required=True)
