"""Runs: asking for one, stopping it for a while or for good, letting it go on. Each step is one compare-and-set."""

import random
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.embeddings.models import EmbeddingChunk, EmbeddingModel, EmbeddingRun, Invalidation
from apps.embeddings.planning import has_pending
from apps.embeddings.registry import models_to_fill

LONGEST_PAUSE = 600  # seconds after which a run that paused by itself tries again


def request_run(kind: str, model: EmbeddingModel, *, reason: str) -> tuple[EmbeddingRun, bool]:
    """The open run of `model` over `kind`, and whether this call created it. Safe to run twice at once."""
    return EmbeddingRun.objects.unfinished().get_or_create(
        kind=kind, model=model, defaults={"reason": reason[:200]}
    )


def request_due_runs(kind: str, *, reason: str) -> list[EmbeddingRun]:
    """New runs over `kind` for every model that lacks current vectors and has no open run."""
    due = []
    for model in models_to_fill():
        if EmbeddingRun.objects.unfinished().filter(kind=kind, model=model).exists():
            continue
        if has_pending(kind, model):
            run, created = request_run(kind, model, reason=reason)
            due += [run] if created else []
    return due


def pause_run(run_id: int, *, reason: str) -> bool:
    """Stops a running run until somebody resumes it; whether it did. Nothing that was embedded is lost."""
    return bool(
        EmbeddingRun.objects.filter(pk=run_id, state=EmbeddingRun.State.RUNNING).update(
            state=EmbeddingRun.State.PAUSED, paused_because=reason[:500], resume_at=None
        )
    )


def pause_for_a_while(run_id: int, *, reason: str) -> bool:
    """Stops a running run for a reason that may pass; whether it did. The sweeper resumes it.

    Each further pause without a chunk written in between lasts longer: a random time up to 30 s, 60 s, 120 s …
    """
    run = EmbeddingRun.objects.filter(pk=run_id, state=EmbeddingRun.State.RUNNING).first()
    if run is None:
        return False
    longest = min(30 * 2**run.pauses, LONGEST_PAUSE)
    seconds = random.uniform(longest / 2, longest)  # noqa: S311  spreads the retries, guards no secret
    return bool(
        EmbeddingRun.objects.filter(pk=run_id, state=EmbeddingRun.State.RUNNING, pauses=run.pauses).update(
            state=EmbeddingRun.State.PAUSED,
            paused_because=reason[:500],
            pauses=F("pauses") + 1,
            resume_at=timezone.now() + timedelta(seconds=seconds),
        )
    )


def resume_run(run_id: int) -> bool:
    """Lets a paused run go on where it was, with the workers here; whether it did.

    Waves of which something is left are sent again; what is embedded of them is not embedded again.
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
    """Resumes the runs whose pause is over; returns them."""
    due = EmbeddingRun.objects.filter(state=EmbeddingRun.State.PAUSED, resume_at__lte=now)
    return [run_id for run_id in due.values_list("pk", flat=True) if resume_run(run_id)]


def cancel_run(run_id: int) -> bool:
    """Ends an open run for good; whether it did. What was written stays, the rest is pending for the next run."""
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
    """Ends the chunks that a cancelled run leaves, their packed vectors with them. Leases on them are lost."""
    EmbeddingChunk.objects.filter(run_id=run_id).exclude(state__in=EmbeddingChunk.TERMINAL_STATES).update(
        state=EmbeddingChunk.State.FAILED,
        error="the run was cancelled",
        lease=None,
        leased_until=None,
        embedded_ids=None,
        embedded_hashes=None,
        vectors=None,
    )


def is_served(run: EmbeddingRun) -> bool:
    """Whether what comes after a run is done too: the first index, and the caches' acknowledgement."""
    if Invalidation.objects.filter(run=run, acknowledged_at=None).exists():
        return False
    if run.state != EmbeddingRun.State.FINISHED or run.prepared_at is not None:
        return True
    # Where another run builds the index, it is that one's to note it.
    others_open = EmbeddingRun.objects.unfinished().filter(model=run.model).exists()
    return others_open or EmbeddingModel.objects.active() is not None
