"""Runs: request, pause, resume, cancel. Each step is a compare-and-set."""

import random
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.embeddings.models import EmbeddingChunk, EmbeddingModel, EmbeddingRun, Invalidation
from apps.embeddings.planning import has_pending
from apps.embeddings.registry import models_to_fill

MAX_PAUSE = 600  # seconds until a run that was paused by an error is resumed


def request_run(kind: str, model: EmbeddingModel, *, reason: str) -> tuple[EmbeddingRun, bool]:
    """The open run of `model` over `kind`, and whether this call created it. Safe to call twice at once."""
    return EmbeddingRun.objects.unfinished().get_or_create(
        kind=kind, model=model, defaults={"reason": reason[:200]}
    )


def request_due_runs(kind: str, *, reason: str) -> list[EmbeddingRun]:
    """Create a run over `kind` for each model with pending rows and no open run; returns the new runs."""
    due = []
    for model in models_to_fill():
        if EmbeddingRun.objects.unfinished().filter(kind=kind, model=model).exists():
            continue
        if has_pending(kind, model):
            run, created = request_run(kind, model, reason=reason)
            due += [run] if created else []
    return due


def pause_run(run_id: int, *, reason: str) -> bool:
    """Pause a running run until somebody resumes it; returns whether it was running. No vector is lost."""
    return bool(
        EmbeddingRun.objects.filter(pk=run_id, state=EmbeddingRun.State.RUNNING).update(
            state=EmbeddingRun.State.PAUSED, paused_because=reason[:500], resume_at=None
        )
    )


def pause_with_backoff(run_id: int, *, reason: str) -> bool:
    """Pause a running run after a temporary error; returns whether it was running. The sweeper resumes it.

    The pause lasts a random time up to 30 s, and up to twice as long after each further pause without a
    written chunk.
    """
    run = EmbeddingRun.objects.filter(pk=run_id, state=EmbeddingRun.State.RUNNING).first()
    if run is None:
        return False
    limit = min(30 * 2**run.pauses, MAX_PAUSE)
    seconds = random.uniform(limit / 2, limit)  # noqa: S311  spreads the retries, guards no secret
    return bool(
        EmbeddingRun.objects.filter(pk=run_id, state=EmbeddingRun.State.RUNNING, pauses=run.pauses).update(
            state=EmbeddingRun.State.PAUSED,
            paused_because=reason[:500],
            pauses=F("pauses") + 1,
            resume_at=timezone.now() + timedelta(seconds=seconds),
        )
    )


def resume_run(run_id: int) -> bool:
    """Resume a paused run with the local workers; returns whether it was paused.

    Unfinished waves are sent again; their embedded chunks are not embedded again.
    """
    with transaction.atomic():
        resumed = EmbeddingRun.objects.filter(pk=run_id, state=EmbeddingRun.State.PAUSED).update(
            state=EmbeddingRun.State.RUNNING, paused_because="", resume_at=None, pulled_from=""
        )
        if not resumed:
            return False
        EmbeddingChunk.objects.filter(run_id=run_id, state=EmbeddingChunk.State.PLANNED).update(sent_at=None)
        left = EmbeddingChunk.objects.filter(run_id=run_id).exclude(state__in=EmbeddingChunk.TERMINAL_STATES)
        first = left.order_by("wave").values_list("wave", flat=True).first()
        if first is not None:
            EmbeddingRun.objects.filter(pk=run_id).update(next_wave=first)
    return True


def resume_due_runs(now: datetime) -> list[int]:
    """Resume the runs whose pause is over; returns their ids."""
    due = EmbeddingRun.objects.filter(state=EmbeddingRun.State.PAUSED, resume_at__lte=now)
    return [run_id for run_id in due.values_list("pk", flat=True) if resume_run(run_id)]


def cancel_run(run_id: int) -> bool:
    """Cancel an open run; returns whether it was open. Written vectors stay, other rows are pending again."""
    with transaction.atomic():
        cancelled = (
            EmbeddingRun.objects.unfinished()
            .filter(pk=run_id)
            .update(state=EmbeddingRun.State.CANCELLED, finished_at=timezone.now(), resume_at=None)
        )
        if cancelled:
            _drop_open_chunks(run_id)
    return bool(cancelled)


def _drop_open_chunks(run_id: int) -> None:
    """End the unfinished chunks of a cancelled run and delete their vectors. Their leases are lost."""
    EmbeddingChunk.objects.filter(run_id=run_id).exclude(state__in=EmbeddingChunk.TERMINAL_STATES).update(
        state=EmbeddingChunk.State.FAILED,
        error="The run was cancelled.",
        lease=None,
        leased_until=None,
        embedded_ids=None,
        embedded_hashes=None,
        vectors=None,
    )


def is_published(run: EmbeddingRun) -> bool:
    """Whether readers see the vectors of a closed run: index built, caches invalidated."""
    if Invalidation.objects.filter(run=run, acknowledged_at=None).exists():
        return False
    if run.state != EmbeddingRun.State.FINISHED or run.indexed_at is not None:
        return True
    # Another open run of the model will build the index and record it.
    others_open = EmbeddingRun.objects.unfinished().filter(model=run.model).exists()
    return others_open or EmbeddingModel.objects.active() is not None
