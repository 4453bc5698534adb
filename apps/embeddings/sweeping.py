"""What the ledger says is overdue: the messages that should have done it were lost, or their worker is gone."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from apps.embeddings.leases import expire_leases
from apps.embeddings.models import EmbeddingChunk, EmbeddingRun, Invalidation


@dataclass(frozen=True)
class Overdue:
    """Everything the sweeper should send again. Sending too much is harmless, every step is a compare-and-set."""

    plan: list[int] = field(default_factory=list)  # runs
    embed: list[int] = field(default_factory=list)  # chunks
    write: list[tuple[int, int]] = field(default_factory=list)  # (run, wave)
    advance: list[int] = field(default_factory=list)  # runs that may send a wave, or finish
    invalidate: list[int] = field(default_factory=list)  # runs

    def __bool__(self) -> bool:
        return any((self.plan, self.embed, self.write, self.advance, self.invalidate))


def find_overdue(*, queued: int) -> Overdue:
    """Looks through the ledger; expired leases go back to planned, nothing else is changed.

    `queued` is the number of messages in the embed queue.
    """
    late = timezone.now() - timedelta(seconds=settings.SWEEP_PATIENCE)
    running = EmbeddingRun.objects.filter(state=EmbeddingRun.State.RUNNING)
    expire_leases()
    return Overdue(
        plan=list(
            EmbeddingRun.objects.filter(state=EmbeddingRun.State.PLANNED, created_at__lt=late).values_list(
                "pk", flat=True
            )
        ),
        embed=_lost_chunks(late=late, queued=queued),
        write=list(
            EmbeddingChunk.objects.filter(
                run__in=running, state=EmbeddingChunk.State.EMBEDDED, embedded_at__lt=late
            )
            .order_by("run", "wave")
            .values_list("run_id", "wave")
            .distinct()
        ),
        advance=list(running.values_list("pk", flat=True)),
        invalidate=list(
            Invalidation.objects.filter(acknowledged_at=None)
            .exclude(run__state__in=EmbeddingRun.OPEN_STATES)
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
