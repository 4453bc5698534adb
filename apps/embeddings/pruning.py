"""Deletion of old runs and dead letters."""

import logging
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from apps.embeddings.models import DeadLetter, EmbeddingChunk, EmbeddingRun, Invalidation

logger = logging.getLogger(__name__)

DELETE_BATCH_SIZE = 1_000  # rows in one transaction


@dataclass(frozen=True)
class PruningResult:
    """Numbers of deleted rows."""

    chunks: int
    runs: int
    dead_letters: int


def delete_expired() -> PruningResult:
    """Delete old runs with their chunks, and old dead letters that were replayed or cleared.

    Never deleted: open runs, runs whose invalidation was not acknowledged, open and discarded letters, and
    the runs of these letters, which a replay reopens. In small transactions; idempotent.
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
    result = PruningResult(
        dead_letters=_delete(letters),
        chunks=_delete(EmbeddingChunk.objects.filter(run__in=runs)),
        runs=_delete(runs),
    )
    logger.info(
        "Deleted %d runs, %d chunks, %d dead letters", result.runs, result.chunks, result.dead_letters
    )
    return result


def _delete(rows: QuerySet[DeadLetter] | QuerySet[EmbeddingChunk] | QuerySet[EmbeddingRun]) -> int:
    deleted = 0
    while keys := list(rows.order_by("pk").values_list("pk", flat=True)[:DELETE_BATCH_SIZE]):
        rows.model._default_manager.filter(pk__in=keys).delete()
        deleted += len(keys)
    return deleted
