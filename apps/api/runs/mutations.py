"""Mutations that start and control embedding runs."""

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
    """Start a run of each model that lacks current vectors of a kind of rows. For users who may add runs."""

    class Arguments:
        kind = KindEnum(required=True, description="The kind of rows to embed")

    runs = graphene.List(
        graphene.NonNull(EmbeddingRunNode),
        required=True,
        description="Unfinished runs of this kind, with the new ones; empty if no row is pending",
    )

    @staticmethod
    def mutate(_root: None, info: Any, kind: Any) -> "StartEmbeddingRun":
        require(info, "embeddings.add_embeddingrun")
        kind = enum_value(kind)
        hints.start_due_runs([kind], reason=f"requested by {user_of(info)}")
        return StartEmbeddingRun(
            runs=list(
                EmbeddingRun.objects.unfinished().select_related("model").with_progress().filter(kind=kind)
            )
        )


class _ChangeRun(graphene.Mutation):
    """A mutation of one run. For users who may change runs."""

    class Meta:
        abstract = True

    @staticmethod
    def _changed(info: Any, run_id: str, change: Callable[[int], bool], rule: str) -> EmbeddingRun:
        """The run after `change`. Raises an ApiError with `rule` if its state does not allow the change."""
        require(info, "embeddings.change_embeddingrun")
        key = primary_key(run_id, of="EmbeddingRun", argument="id")
        changed = change(key)
        run = EmbeddingRun.objects.select_related("model").with_progress().filter(pk=key).first()
        if run is None:
            raise NotFoundApiError(f"there is no run {key}")
        if not changed:
            raise BadInputError(f"{run} is {run.get_state_display().lower()}: {rule}", field="id")
        return run


RUN_ID = graphene.ID(required=True, description="Global id or primary key of the run")


class PauseEmbeddingRun(_ChangeRun):
    """Pause a running run until someone resumes it. Nothing that is embedded is lost."""

    class Arguments:
        id = RUN_ID

    run = graphene.Field(EmbeddingRunNode, required=True, description="The run after the mutation")

    @classmethod
    def mutate(cls, _root: None, info: Any, id: str) -> "PauseEmbeddingRun":  # noqa: A002  named by the schema
        pause = partial(runs.pause_run, reason=f"paused by {user_of(info)}")
        return cls(run=cls._changed(info, id, pause, "only a running run can be paused"))


class ResumeEmbeddingRun(_ChangeRun):
    """Resume a paused run where it stopped."""

    class Arguments:
        id = RUN_ID

    run = graphene.Field(EmbeddingRunNode, required=True, description="The run after the mutation")

    @classmethod
    def mutate(cls, _root: None, info: Any, id: str) -> "ResumeEmbeddingRun":  # noqa: A002  named by the schema
        run = cls._changed(info, id, runs.resume_run, "only a paused run can be resumed")
        hints.plan_soon([run.pk])
        return cls(run=run)


class CancelEmbeddingRun(_ChangeRun):
    """End an unfinished run for good. Vectors that it wrote stay; the other rows are left to the next run."""

    class Arguments:
        id = RUN_ID

    run = graphene.Field(EmbeddingRunNode, required=True, description="The run after the mutation")

    @classmethod
    def mutate(cls, _root: None, info: Any, id: str) -> "CancelEmbeddingRun":  # noqa: A002  named by the schema
        return cls(run=cls._changed(info, id, runs.cancel_run, "only an unfinished run can be cancelled"))


class RunMutations(graphene.ObjectType):
    """The mutations of this module, as a part of the schema's Mutation."""

    start_embedding_run = StartEmbeddingRun.Field(required=True)
    pause_embedding_run = PauseEmbeddingRun.Field(required=True)
    resume_embedding_run = ResumeEmbeddingRun.Field(required=True)
    cancel_embedding_run = CancelEmbeddingRun.Field(required=True)
