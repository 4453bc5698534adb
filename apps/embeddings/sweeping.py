"""What the ledger says is overdue: the messages that should have done it were lost, or their worker is gone."""

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
class Overdue:
    """Everything the sweeper should send again. Sending too much is harmless, every step is a compare-and-set."""

    plan: list[int] = field(default_factory=list)  # runs
    embed: list[int] = field(default_factory=list)  # chunks
    write: list[tuple[int, int]] = field(default_factory=list)  # (run, wave)
    advance: list[int] = field(default_factory=list)  # runs that may send a wave, or finish
    prepare: list[int] = field(default_factory=list)  # finished runs whose indexes nobody saw to
    invalidate: list[int] = field(default_factory=list)  # runs

    def __bool__(self) -> bool:
        """Whether something was lost; that a run may be advanced is nothing unusual."""
        return any((self.plan, self.embed, self.write, self.prepare, self.invalidate))


def settle() -> None:
    """Moves on what nobody works on: expired leases, chunks without attempts left, pulls that were killed, pauses that
    are over, letters about rows that have changed since. Set-based or one short transaction each; safe to run twice at once.
    """
    expire_leases()
    exhausted = EmbeddingChunk.objects.filter(
        state=EmbeddingChunk.State.PLANNED,
        attempts__gte=settings.EMBEDDING_ATTEMPTS,
        run__state=EmbeddingRun.State.RUNNING,
    )
    for chunk_id, error in exhausted.values_list("pk", "error"):
        dead_letters.bury_chunk(
            chunk_id, error=f"given up after {settings.EMBEDDING_ATTEMPTS} attempts, the last: {error}"
        )
    pause_abandoned()
    resume_due_runs(timezone.now())
    dead_letters.clear_outdated()


def find_overdue(*, queued: int) -> Overdue:
    """Looks through the ledger and changes nothing. `queued` is the number of messages in the embed queue."""
    late = timezone.now() - timedelta(seconds=settings.SWEEP_PATIENCE)
    running = EmbeddingRun.objects.filter(state=EmbeddingRun.State.RUNNING)
    # What is embedded may be written while its run is paused.
    writable = [EmbeddingRun.State.RUNNING, EmbeddingRun.State.PAUSED]
    return Overdue(
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
        prepare=list(
            EmbeddingRun.objects.filter(
                state=EmbeddingRun.State.FINISHED, prepared_at=None, finished_at__lt=late
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
    """Chunks that were sent a while ago, that no worker began, and whose message is nowhere.

    Waiting in a long queue is no loss: only where the queue holds fewer messages than chunks wait is one missing.
    Which one it is cannot be told from a message count; sending all that are late is harmless.
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
    """Notes that messages for these chunks are on their way again."""
    EmbeddingChunk.objects.filter(pk__in=chunk_ids).update(sent_at=timezone.now())
