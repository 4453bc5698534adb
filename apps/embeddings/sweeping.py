"""The sweeper: recovers what lost messages and lost workers left undone, from the ledger."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from apps.embeddings import dead_letters
from apps.embeddings.leases import expire_leases
from apps.embeddings.models import EmbeddingChunk, EmbeddingRun, Invalidation
from apps.embeddings.pulling import pause_abandoned
from apps.embeddings.runs import resume_due_runs


@dataclass(frozen=True)
class OverdueWork:
    """Tasks to send again. Sending too many is harmless, since every step is a compare-and-set."""

    plan: list[int] = field(default_factory=list)  # runs
    embed: list[int] = field(default_factory=list)  # chunks
    write: list[tuple[int, int]] = field(default_factory=list)  # (run, wave)
    advance: list[int] = field(default_factory=list)  # runs that may send a wave, or finish
    index: list[int] = field(default_factory=list)  # finished runs whose indexes were not checked
    invalidate: list[int] = field(default_factory=list)  # runs

    def __bool__(self) -> bool:
        """Whether anything was lost. Runs to advance do not count: they are normal."""
        return any((self.plan, self.embed, self.write, self.index, self.invalidate))


def recover() -> None:
    """Release what nobody works on, in short transactions. Safe to call twice at once.

    Leases that have expired, chunks without attempts left, pulls that were killed, pauses that are over, and
    letters about rows that have changed since.
    """
    expire_leases()
    exhausted = EmbeddingChunk.objects.filter(
        state=EmbeddingChunk.State.PLANNED,
        attempts__gte=settings.EMBEDDING_ATTEMPTS,
        run__state=EmbeddingRun.State.RUNNING,
    )
    for chunk_id, error in exhausted.values_list("pk", "error"):
        dead_letters.record_dead_letters_of_chunk(
            chunk_id, error=f"Failed after {settings.EMBEDDING_ATTEMPTS} attempts. The last error: {error}"
        )
    pause_abandoned()
    resume_due_runs(timezone.now())
    dead_letters.clear_outdated()


def find_overdue(*, queued: int) -> OverdueWork:
    """Find overdue work in the ledger and change nothing. `queued`: number of messages in the embed queue."""
    late = timezone.now() - timedelta(seconds=settings.SWEEP_PATIENCE)
    running = EmbeddingRun.objects.filter(state=EmbeddingRun.State.RUNNING)
    # Vectors in the ledger may be written while the run is paused.
    writable = [EmbeddingRun.State.RUNNING, EmbeddingRun.State.PAUSED]
    return OverdueWork(
        plan=list(
            EmbeddingRun.objects.filter(state=EmbeddingRun.State.PLANNED, created_at__lt=late).values_list(
                "pk", flat=True
            )
        ),
        embed=_lost_chunks(late=late, queued=queued),
        write=list(
            EmbeddingChunk.objects.filter(
                run__state__in=writable, state=EmbeddingChunk.State.EMBEDDED, embedded_at__lt=late
            )
            .order_by("run", "wave")
            .values_list("run_id", "wave")
            .distinct()
        ),
        advance=list(running.values_list("pk", flat=True)),
        index=list(
            EmbeddingRun.objects.filter(
                state=EmbeddingRun.State.FINISHED, indexed_at=None, finished_at__lt=late
            ).values_list("pk", flat=True)
        ),
        invalidate=list(
            Invalidation.objects.filter(acknowledged_at=None)
            .exclude(run__state__in=EmbeddingRun.OPEN_STATES)
            .exclude(run__finished_at__gte=late)
            .values_list("run_id", flat=True)
        ),
    )


def _lost_chunks(*, late: datetime, queued: int) -> list[int]:
    """Chunks that were sent a while ago, that no worker has leased, and whose message is lost.

    A chunk may wait in a long queue: a message is lost only if the queue has fewer messages than chunks wait.
    The count does not tell which one, so all late chunks are sent again, which is harmless.
    """
    waiting = EmbeddingChunk.objects.filter(
        run__state=EmbeddingRun.State.RUNNING,
        run__pulled_from="",
        state=EmbeddingChunk.State.PLANNED,
        sent_at__isnull=False,
    )
    if queued >= waiting.count():
        return []
    return list(waiting.filter(sent_at__lt=late).order_by("run", "number").values_list("pk", flat=True))


def mark_sent(chunk_ids: list[int]) -> None:
    """Record that messages for these chunks were sent now."""
    EmbeddingChunk.objects.filter(pk__in=chunk_ids).update(sent_at=timezone.now())
