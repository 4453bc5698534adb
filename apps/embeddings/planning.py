"""Pending rows, the chunks of a run, and the waves to send."""

from datetime import datetime

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from psycopg.sql import SQL, Composed

from apps.embeddings.kinds import KindTables, tables
from apps.embeddings.models import EmbeddingModel, EmbeddingRun
from apps.sql import load

# About the bytes of one model window. A longer text costs no more than the windows that are read of it.
WINDOW_BYTES = 1_500
# A chunk of long texts holds fewer rows, at most this many windows a row on average, so that it takes
# seconds.
CHUNK_WINDOWS = 2
# A small run is cut into smaller chunks, so that all slots of the workers end at about the same time. No
# chunk is smaller than one batch of a CPU.
MIN_CHUNKS = 16
MIN_CHUNK_WINDOWS = 16


def has_pending(kind: str, model: EmbeddingModel) -> bool:
    """Whether any row of `kind` lacks a current vector of `model` and is not held by a dead letter."""
    statement = SQL("SELECT EXISTS ({pending})").format(pending=_pending(tables(kind)))
    with connection.cursor() as cursor:
        cursor.execute(statement, _parameters(kind, model))
        return bool(cursor.fetchone()[0])


def write_plan(run_id: int) -> EmbeddingRun:
    """Write the chunks of a planned run and set it running; a run past planning is returned as it is.

    One statement plans from one snapshot: rows that change later are pending for the next run. Rows of about
    equal length share a chunk, which avoids padding. The longest come first, which keeps the workers busy to
    the end. Duplicates share a chunk, which encodes them once.
    """
    with transaction.atomic():
        run = EmbeddingRun.objects.select_for_update().select_related("model").get(pk=run_id)
        if run.state != EmbeddingRun.State.PLANNED:
            return run
        run.rows, run.bytes_total, run.waves = _write_chunks(run)
        run.state, run.started_at = EmbeddingRun.State.RUNNING, timezone.now()
        run.save(update_fields=["rows", "bytes_total", "waves", "state", "started_at"])
    return run


def _write_chunks(run: EmbeddingRun) -> tuple[int, int, int]:
    """(rows, bytes, waves) of the planned run."""
    names = tables(run.kind)
    parameters = {
        **_parameters(run.kind, run.model),
        "run": run.pk,
        "max_text_bytes": run.model.windows * WINDOW_BYTES,
        "rows": settings.EMBEDDING_CHUNK_SIZE,
        "max_chunk_bytes": settings.EMBEDDING_CHUNK_SIZE * CHUNK_WINDOWS * WINDOW_BYTES,
        "min_chunk_bytes": MIN_CHUNK_WINDOWS * WINDOW_BYTES,
        "min_chunks": MIN_CHUNKS,
        "wave": settings.EMBEDDING_WAVE_SIZE,
    }
    statement = load(__file__, "write_chunks").format(**names.sql, pending=_pending(names))
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        rows, text_bytes, waves = cursor.fetchone()
        return int(rows), int(text_bytes), int(waves)


def _pending(names: KindTables) -> Composed:
    """SQL for the ids of pending rows; its parameters are those of `_parameters`."""
    return load(__file__, "pending").format(**names.sql)


def _parameters(kind: str, model: EmbeddingModel) -> dict[str, str | int]:
    return {"kind": str(kind), "model": model.pk}


def claim_waves(run_id: int, *, now: datetime | None = None) -> list[int]:
    """Claim the waves to send, so that enough are in flight; returns their numbers. One caller gets each."""
    claimed: list[int] = []
    with connection.cursor() as cursor:
        while True:
            cursor.execute(
                load(__file__, "claim_wave"),
                {
                    "run": run_id,
                    "in_flight": settings.EMBEDDING_WAVES_IN_FLIGHT,
                    "now": now or timezone.now(),
                },
            )
            row = cursor.fetchone()
            if row is None:
                return claimed
            claimed.append(row[0])
