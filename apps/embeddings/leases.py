"""Who works on a chunk: one worker at a time, for a limited time."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.db.models import Case, F, Q, QuerySet, When
from django.utils import timezone

from apps.embeddings.errors import LeaseLostError
from apps.embeddings.models import EmbeddingChunk, EmbeddingModel, EmbeddingRun


@dataclass(frozen=True)
class Lease:
    """The right of one worker to embed one chunk until it expires."""

    chunk_id: int
    run_id: int
    token: UUID
    kind: str
    model: EmbeddingModel
    row_ids: list[int]
    attempts: int


def lease_chunk(
    chunk_id: int, *, task_id: str | None, worker: str | None, pulled_from: str = ""
) -> Lease | None:
    """Takes the chunk for `settings.EMBEDDING_LEASE` seconds and counts the attempt, before any work is done.

    A retry of the task that holds the lease takes it again, as the same attempt. None where there is nothing to do: the chunk is
    embedded or written already, another worker holds it, or its run is not running. The chunks of a run that is pulled from
    elsewhere go to whoever pulls them from there, and not to the workers here.
    """
    token, now = UUID(task_id) if task_id else uuid4(), timezone.now()
    mine_or_expired = Q(lease=token) | Q(leased_until__lt=now)
    free = Q(state=EmbeddingChunk.State.PLANNED) | mine_or_expired & Q(state=EmbeddingChunk.State.LEASED)
    taken = EmbeddingChunk.objects.filter(
        free, pk=chunk_id, run__state=EmbeddingRun.State.RUNNING, run__pulled_from=pulled_from
    ).update(
        state=EmbeddingChunk.State.LEASED,
        attempts=Case(When(lease=token, then=F("attempts")), default=F("attempts") + 1),
        lease=token,
        leased_until=now + timedelta(seconds=settings.EMBEDDING_LEASE),
        worker=(worker or "")[:200],
    )
    if not taken:
        return None
    chunk = EmbeddingChunk.objects.select_related("run__model").defer("vectors").get(pk=chunk_id)
    return Lease(
        chunk_id, chunk.run_id, token, chunk.run.kind, chunk.run.model, chunk.row_ids, chunk.attempts
    )


def renew_lease(lease: Lease) -> None:
    """Holds the chunk for another `settings.EMBEDDING_LEASE` seconds. Raises LeaseLostError."""
    until = timezone.now() + timedelta(seconds=settings.EMBEDDING_LEASE)
    if not _held(lease).filter(run__state=EmbeddingRun.State.RUNNING).update(leased_until=until):
        raise LeaseLostError(f"chunk {lease.chunk_id}: taken over, or its run was stopped")


def release_lease(lease: Lease, *, error: str) -> None:
    """Gives the chunk back for a reason that is not in it: the attempt does not count. Harmless where it was lost."""
    _held(lease).update(
        state=EmbeddingChunk.State.PLANNED,
        lease=None,
        leased_until=None,
        attempts=F("attempts") - 1,
        error=error[:2000],
    )


def fail_attempt(lease: Lease, *, error: str) -> None:
    """Notes a failure that nobody foresaw: the chunk is tried again until its attempts are used up."""
    state = (
        EmbeddingChunk.State.FAILED
        if lease.attempts >= settings.EMBEDDING_ATTEMPTS
        else EmbeddingChunk.State.PLANNED
    )
    _held(lease).update(state=state, lease=None, leased_until=None, error=error[:2000])


def expire_leases() -> int:
    """Frees chunks whose worker did not come back; gives up those that cost `EMBEDDING_ATTEMPTS` workers.

    The rows of a chunk given up stay pending, so the next run takes them again. Returns how many were freed.
    """
    expired = EmbeddingChunk.objects.filter(
        state=EmbeddingChunk.State.LEASED, leased_until__lt=timezone.now()
    )
    expired.filter(attempts__gte=settings.EMBEDDING_ATTEMPTS).update(
        state=EmbeddingChunk.State.FAILED,
        lease=None,
        leased_until=None,
        error=f"no worker finished it in {settings.EMBEDDING_ATTEMPTS} attempts",
    )
    return expired.update(state=EmbeddingChunk.State.PLANNED, lease=None, leased_until=None)


def _held(lease: Lease) -> QuerySet[EmbeddingChunk]:
    return EmbeddingChunk.objects.filter(
        pk=lease.chunk_id, lease=lease.token, state=EmbeddingChunk.State.LEASED
    )
