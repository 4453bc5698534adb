from functools import partial
from typing import Any

import graphene
from celery import current_app
from django.db import transaction

from apps.api.access import require, user_of
from apps.api.enums import KindEnum
from apps.api.runs.types import EmbeddingRunNode
from apps.embeddings import planning
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
        started = planning.request_due_runs(wanted, reason=f"asked for by {user_of(info)}")
        for run in started:
            transaction.on_commit(partial(send_plan, run.pk))
        return StartEmbeddingRun(
            runs=list(EmbeddingRun.objects.unfinished().with_progress().filter(kind=wanted))
        )


def send_plan(run_id: int) -> None:
    """Tells the workers; where the broker is gone the sweeper finds the planned run."""
    current_app.send_task("workers.tasks.plan_run", [run_id], queue="control", retry=False)


class RunMutations(graphene.ObjectType):
    start_embedding_run = StartEmbeddingRun.Field(required=True)
