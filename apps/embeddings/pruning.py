"""What the ledger keeps, and for how long."""

import logging
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from apps.embeddings.models import DeadLetter, EmbeddingChunk, EmbeddingRun, Invalidation

logger = logging.getLogger(__name__)

DELETED_AT_ONCE = 1_000  # rows in one transaction


@dataclass(frozen=True)
class Pruned:
    chunks: int
    runs: int
    dead_letters: int


def prune() -> Pruned:
    """Deletes closed runs with their chunks, and dead letters that hold nothing any more, once they are old enough.

    Kept whatever their age: open runs, runs whose invalidation was not acknowledged, open and discarded letters, and
    the runs of these, for a replay reopens them. In small transactions; idempotent.
    """
    now = timezone.now()
    letters = DeadLetter.objects.exclude(state__in=DeadLetter.HELD_STATES).filter(
        updated_at__lt=now - timedelta(days=settings.KEEP_DEAD_LETTERS_DAYS)
    )
    runs = (
        EmbeddingRun.objects.exclude(state__in=EmbeddingRun.OPEN_STATES)
        .filter(finished_at__lt=now - timedelta(days=settings.KEEP_RUNS_DAYS))
        .exclude(Exists(Invalidation.objects.filter(run=OuterRef("pk"), acknowledged_at=None)))
        .exclude(Exists(DeadLetter.objects.held().filter(run=OuterRef("pk"))))
    )
    pruned = Pruned(
        dead_letters=_delete(letters),
        chunks=_delete(EmbeddingChunk.objects.filter(run__in=runs)),
        runs=_delete(runs),
    )
    logger.info("pruned %s", pruned)
    return pruned


def _delete(rows: QuerySet[DeadLetter] | QuerySet[EmbeddingChunk] | QuerySet[EmbeddingRun]) -> int:
    deleted = 0
    while keys := list(rows.order_by("pk").values_list("pk", flat=True)[:DELETED_AT_ONCE]):
        rows.model._default_manager.filter(pk__in=keys).delete()
        deleted += len(keys)
    return deleted
