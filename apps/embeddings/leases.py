"""Who works on a chunk: one worker at a time, for a limited time."""

import time
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
    """The right of one worker to embed one chunk until it expires. `attempts` counts this one."""

    chunk_id: int
    run_id: int
    token: UUID
    kind: str
    model: EmbeddingModel
    row_ids: list[int]
    attempts: int

    @property
    def is_suspect(self) -> bool:
        """Whether the chunk has cost so many workers that one of its texts may be what kills them."""
        return self.attempts > int(settings.EMBEDDING_SUSPECT_AFTER)


def lease_chunk(
    chunk_id: int, *, task_id: str | None, worker: str | None, pulled_from: str = ""
) -> Lease | None:
    """Takes the chunk for `settings.EMBEDDING_LEASE` seconds and counts the attempt, before any work is done.

    A retry of the task that holds the lease takes it again, as the same attempt. None where there is nothing to do:
    the chunk is embedded or written already, another worker holds it, its attempts are used up, or its run is not
    running. The chunks of a run that is pulled from elsewhere go to whoever pulls them from there, and not to the
    workers here.
    """
    token, now = UUID(task_id) if task_id else uuid4(), timezone.now()
    mine_or_expired = Q(lease=token) | Q(leased_until__lt=now)
    free = Q(state=EmbeddingChunk.State.PLANNED) | mine_or_expired & Q(state=EmbeddingChunk.State.LEASED)
    left = Q(attempts__lt=settings.EMBEDDING_ATTEMPTS) | Q(lease=token)
    # Conditions on the chunk's own columns and a subquery about its run, not `run__state`: for that Django would put all of
    # them into a subquery over the chunks, which PostgreSQL does not look at again after it waited for another worker.
    running = EmbeddingRun.objects.filter(state=EmbeddingRun.State.RUNNING, pulled_from=pulled_from)
    taken = EmbeddingChunk.objects.filter(free, left, pk=chunk_id, run_id__in=running.values("pk")).update(
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
    if not _held(lease).update(leased_until=until):
        raise LeaseLostError(f"chunk {lease.chunk_id}: taken over, or its run was cancelled")


class Heartbeat:
    """Renews a lease once a third of it has passed."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._renew_at = time.monotonic() + settings.EMBEDDING_LEASE / 3

    def beat(self) -> None:
        """Raises LeaseLostError."""
        if time.monotonic() >= self._renew_at:
            renew_lease(self._lease)
            self._renew_at = time.monotonic() + settings.EMBEDDING_LEASE / 3


def release_lease(lease: Lease, *, error: str, count: bool = False) -> None:
    """Gives the chunk back for another try. Harmless where the lease was lost.

    The attempt counts only with `count`: where the reason may be in the chunk.
    """
    _held(lease).update(
        state=EmbeddingChunk.State.PLANNED,
        lease=None,
        leased_until=None,
        attempts=F("attempts") - (0 if count else 1),
        error=error[:2000],
    )


def expire_leases() -> int:
    """Frees chunks whose worker did not come back; returns how many."""
    return _free(EmbeddingChunk.objects.filter(leased_until__lt=timezone.now()))


def free_leases_of(worker: str) -> int:
    """Frees what a worker of this name held: called as it starts, so its former life is over. Returns how many."""
    return _free(EmbeddingChunk.objects.filter(worker=worker))


def _free(chunks: QuerySet[EmbeddingChunk]) -> int:
    return chunks.filter(state=EmbeddingChunk.State.LEASED).update(
        state=EmbeddingChunk.State.PLANNED,
        lease=None,
        leased_until=None,
        error="its worker did not come back",
    )


def _held(lease: Lease) -> QuerySet[EmbeddingChunk]:
    return EmbeddingChunk.objects.filter(
        pk=lease.chunk_id, lease=lease.token, state=EmbeddingChunk.State.LEASED
    )
