"""Leases: one worker at a time embeds a chunk, for a limited time."""

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
    """The right of one worker to embed one chunk until it expires. `attempts` includes this one.

    `isolated`: the texts must be encoded in a subprocess, since one of them may crash the encoder.
    """

    chunk_id: int
    run_id: int
    token: UUID
    kind: str
    model: EmbeddingModel
    row_ids: list[int]
    attempts: int
    isolated: bool


def lease_chunk(
    chunk_id: int, *, task_id: str | None, worker: str | None, pulled_from: str = ""
) -> Lease | None:
    """Take the chunk for `settings.EMBEDDING_LEASE` seconds and count the attempt, before any work is done.

    A retry of the task that holds the lease takes it again, as the same attempt. A chunk whose attempts have
    reached `settings.EMBEDDING_SUSPECT_AFTER` is isolated from then on. Chunks of a pulled run are leased
    only with the address in `pulled_from`. Returns None if there is nothing to do: the chunk is done, another
    worker holds it, its attempts are used up, or its run is not running.
    """
    token, now = UUID(task_id) if task_id else uuid4(), timezone.now()
    mine_or_expired = Q(lease=token) | Q(leased_until__lt=now)
    free = Q(state=EmbeddingChunk.State.PLANNED) | mine_or_expired & Q(state=EmbeddingChunk.State.LEASED)
    left = Q(attempts__lt=settings.EMBEDDING_ATTEMPTS) | Q(lease=token)
    # A subquery about the run and not `run__state`: with that, Django would move all conditions into a
    # subquery over the chunks, which PostgreSQL does not check again after it has waited for the lock of
    # another worker.
    running = EmbeddingRun.objects.filter(state=EmbeddingRun.State.RUNNING, pulled_from=pulled_from)
    taken = EmbeddingChunk.objects.filter(free, left, pk=chunk_id, run_id__in=running.values("pk")).update(
        state=EmbeddingChunk.State.LEASED,
        attempts=Case(When(lease=token, then=F("attempts")), default=F("attempts") + 1),
        isolated=Case(
            When(lease=token, then=F("isolated")),
            When(attempts__gte=settings.EMBEDDING_SUSPECT_AFTER, then=True),
            default=F("isolated"),
        ),
        lease=token,
        leased_until=now + timedelta(seconds=settings.EMBEDDING_LEASE),
        worker=(worker or "")[:200],
    )
    if not taken:
        return None
    chunk = EmbeddingChunk.objects.select_related("run__model").defer("vectors").get(pk=chunk_id)
    return Lease(
        chunk_id=chunk_id,
        run_id=chunk.run_id,
        token=token,
        kind=chunk.run.kind,
        model=chunk.run.model,
        row_ids=chunk.row_ids,
        attempts=chunk.attempts,
        isolated=chunk.isolated,
    )


def renew_lease(lease: Lease) -> None:
    """Hold the chunk for another `settings.EMBEDDING_LEASE` seconds. Raises LeaseLostError."""
    until = timezone.now() + timedelta(seconds=settings.EMBEDDING_LEASE)
    if not _held(lease).update(leased_until=until):
        raise LeaseLostError(
            f"Lost the lease of chunk {lease.chunk_id}: another worker took it, or its run was cancelled."
        )


class Heartbeat:
    """Renewal of a lease, once a third of it has passed."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._renew_at = time.monotonic() + settings.EMBEDDING_LEASE / 3

    def beat(self) -> None:
        """Renew the lease if it is time. Call it often. Raises LeaseLostError."""
        if time.monotonic() >= self._renew_at:
            renew_lease(self._lease)
            self._renew_at = time.monotonic() + settings.EMBEDDING_LEASE / 3


def release_lease(lease: Lease, *, error: str, count: bool = False) -> None:
    """Give the chunk back for another attempt. Has no effect if the lease was lost.

    Pass `count` if the reason may be in the chunk: then the attempt counts.
    """
    _held(lease).update(
        state=EmbeddingChunk.State.PLANNED,
        lease=None,
        leased_until=None,
        attempts=F("attempts") - (0 if count else 1),
        error=error[:2000],
    )


def expire_leases() -> int:
    """Free the chunks whose lease has expired; returns how many."""
    return _free(EmbeddingChunk.objects.filter(leased_until__lt=timezone.now()))


def free_leases_of(worker: str) -> int:
    """Free the chunks of a worker that was killed and starts again under the same name; returns how many."""
    return _free(EmbeddingChunk.objects.filter(worker=worker))


def _free(chunks: QuerySet[EmbeddingChunk]) -> int:
    return chunks.filter(state=EmbeddingChunk.State.LEASED).update(
        state=EmbeddingChunk.State.PLANNED,
        lease=None,
        leased_until=None,
        error="The worker was lost.",
    )


def _held(lease: Lease) -> QuerySet[EmbeddingChunk]:
    return EmbeddingChunk.objects.filter(
        pk=lease.chunk_id, lease=lease.token, state=EmbeddingChunk.State.LEASED
    )
