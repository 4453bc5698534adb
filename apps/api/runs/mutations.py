from collections.abc import Callable
from functools import partial
from typing import Any

import graphene

from apps.api.access import require, user_of
from apps.api.enums import KindEnum, enum_value
from apps.api.errors import BadInputError, NotFoundApiError
from apps.api.ids import primary_key
from apps.api.runs.types import EmbeddingRunNode
from apps.embeddings import hints, runs
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
        wanted = enum_value(kind)
        hints.start_due_runs([wanted], reason=f"asked for by {user_of(info)}")
        return StartEmbeddingRun(
            runs=list(
                EmbeddingRun.objects.unfinished().select_related("model").with_progress().filter(kind=wanted)
            )
        )


class _ChangeRun(graphene.Mutation):
    """What the mutations of one run share. For users who may change runs."""

    class Meta:
        abstract = True

    @staticmethod
    def _changed(info: Any, run_id: str, change: Callable[[int], bool], wrong: str) -> EmbeddingRun:
        require(info, "embeddings.change_embeddingrun")
        key = primary_key(run_id, of="EmbeddingRun", argument="id")
        changed = change(key)
        run = EmbeddingRun.objects.select_related("model").with_progress().filter(pk=key).first()
        if run is None:
            raise NotFoundApiError(f"there is no run {key}")
        if not changed:
            raise BadInputError(f"{run} is {run.get_state_display().lower()}: {wrong}", field="id")
        return run


RUN_ID = graphene.ID(required=True, description="Global id, or primary key")


class PauseEmbeddingRun(_ChangeRun):
    """Stops a running run until somebody resumes it; nothing that was embedded is lost."""

    class Arguments:
        id = RUN_ID

    run = graphene.Field(EmbeddingRunNode, required=True, description="The run as it is now")

    @classmethod
    def mutate(cls, _root: None, info: Any, id: str) -> "PauseEmbeddingRun":  # noqa: A002  named by the schema
        pause = partial(runs.pause_run, reason=f"paused by {user_of(info)}")
        return cls(run=cls._changed(info, id, pause, "only a running run can be paused"))


class ResumeEmbeddingRun(_ChangeRun):
    """Lets a paused run go on where it was."""

    class Arguments:
        id = RUN_ID

    run = graphene.Field(EmbeddingRunNode, required=True, description="The run as it is now")

    @classmethod
    def mutate(cls, _root: None, info: Any, id: str) -> "ResumeEmbeddingRun":  # noqa: A002  named by the schema
        run = cls._changed(info, id, runs.resume_run, "only a paused run can be resumed")
        hints.plan_soon([run.pk])
        return cls(run=run)


class CancelEmbeddingRun(_ChangeRun):
    """Ends an open run for good; what it wrote stays, the rest is pending for the next run."""

    class Arguments:
        id = RUN_ID

    run = graphene.Field(EmbeddingRunNode, required=True, description="The run as it is now")

    @classmethod
    def mutate(cls, _root: None, info: Any, id: str) -> "CancelEmbeddingRun":  # noqa: A002  named by the schema
        return cls(run=cls._changed(info, id, runs.cancel_run, "only an open run can be cancelled"))


class RunMutations(graphene.ObjectType):
    start_embedding_run = StartEmbeddingRun.Field(required=True)
    pause_embedding_run = PauseEmbeddingRun.Field(required=True)
    resume_embedding_run = ResumeEmbeddingRun.Field(required=True)
    cancel_embedding_run = CancelEmbeddingRun.Field(required=True)
