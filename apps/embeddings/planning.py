"""What is pending, the chunks of a run, and which of its waves to send."""

from datetime import datetime

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from apps.embeddings.kinds import KindTables, tables
from apps.embeddings.models import EmbeddingModel, EmbeddingRun

# About the characters of one model window; a longer text costs no more than the windows that are read of it.
WINDOW_OCTETS = 1_500
# A chunk of long texts holds fewer rows: at most so many windows a row on average, so that it takes seconds.
CHUNK_WINDOWS = 2
# A small run is cut into smaller chunks, so that it ends on all slots of the workers at about the same time: with
# equal parts, one slot works alone for one part at most. No chunk is smaller than one batch of a CPU.
LEAST_CHUNKS = 16
LEAST_CHUNK_WINDOWS = 16


def has_pending(kind: str, model: EmbeddingModel) -> bool:
    """Whether any row of `kind` lacks a current vector of `model` and is not held by a dead letter."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS ({_pending(tables(kind))})", _parameters(kind, model))
        return bool(cursor.fetchone()[0])


def plan_run(run_id: int) -> EmbeddingRun:
    """Writes the chunks of a planned run and sets it running; a run past planning is returned as it is.

    One statement, so one snapshot: rows that change later are pending for the next run. Rows of about equal length
    share a chunk, which keeps padding away, the longest first, which keeps the workers' last minute full. Equal
    texts stand side by side, so that a chunk encodes them once.
    """
    with transaction.atomic():
        run = EmbeddingRun.objects.select_for_update().select_related("model").get(pk=run_id)
        if run.state != EmbeddingRun.State.PLANNED:
            return run
        run.rows, run.octets, run.waves = _write_chunks(run)
        run.state, run.started_at = EmbeddingRun.State.RUNNING, timezone.now()
        run.save(update_fields=["rows", "octets", "waves", "state", "started_at"])
    return run


def _write_chunks(run: EmbeddingRun) -> tuple[int, int, int]:
    """(rows, octets, waves) of the planned run."""
    names = tables(run.kind)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH missing AS MATERIALIZED ({_pending(names)}),
            pending AS (
                SELECT id, record.content_hash, least({names.octets}, %(longest)s) AS octets
                FROM missing JOIN {names.record} AS record USING (id)
            ),
            placed AS (
                SELECT id, content_hash, octets, row_number() OVER longest_first - 1 AS place,
                       sum(octets) OVER longest_first - octets AS octets_before
                FROM pending WINDOW longest_first AS (ORDER BY octets DESC, content_hash, id)
            ),
            -- A text counts where it first stands: its copies go to the same chunk, however many there are up to a chunkful.
            together AS (
                SELECT id, octets, place, min(place) OVER copies AS first, min(octets_before) OVER copies AS octets_before
                FROM placed WINDOW copies AS (PARTITION BY content_hash)
            ),
            chunk AS (
                SELECT least(greatest(div(sum(octets), %(least_chunks)s), %(least_octets)s), %(octets)s) AS octets
                FROM pending
            ),
            numbered AS (
                SELECT id, together.octets, place,
                       dense_rank() OVER (ORDER BY first / %(rows)s, div(octets_before, chunk.octets),
                                                   (place - first) / %(rows)s) - 1 AS number
                FROM together, chunk
            ),
            written AS (
                INSERT INTO embeddings_embeddingchunk
                    (run_id, number, wave, state, row_ids, rows, octets, attempts, worker, error,
                     rows_written, rows_reused, rows_skipped, rows_dead)
                SELECT %(run)s, number, number / %(wave)s, 'planned',
                       array_agg(id ORDER BY place), count(*), sum(octets), 0, '', '', 0, 0, 0, 0
                FROM numbered
                GROUP BY number
                RETURNING rows, octets, wave
            )
            SELECT coalesce(sum(rows), 0), coalesce(sum(octets), 0), coalesce(max(wave) + 1, 0) FROM written
            """,
            _parameters(run.kind, run.model)
            | {
                "run": run.pk,
                "longest": run.model.windows * WINDOW_OCTETS,
                "rows": settings.EMBEDDING_CHUNK_SIZE,
                "octets": settings.EMBEDDING_CHUNK_SIZE * CHUNK_WINDOWS * WINDOW_OCTETS,
                "least_octets": LEAST_CHUNK_WINDOWS * WINDOW_OCTETS,
                "least_chunks": LEAST_CHUNKS,
                "wave": settings.EMBEDDING_WAVE_SIZE,
            },
        )
        rows, octets, waves = cursor.fetchone()
        return int(rows), int(octets), int(waves)


def _pending(names: KindTables) -> str:
    """SQL for the ids of pending rows. All that it reads of the many that are current stands in indexes."""
    return f"""
        SELECT record.id FROM {names.record} AS record
        WHERE NOT EXISTS (
            SELECT FROM {names.embedding} AS embedding
            WHERE embedding.{names.key} = record.id AND embedding.model_id = %(model)s
                AND embedding.content_hash = record.content_hash)
        AND NOT EXISTS (
            SELECT FROM embeddings_deadletter AS dead
            WHERE dead.kind = %(kind)s AND dead.row_id = record.id AND dead.model_id = %(model)s
                AND dead.state IN ('open', 'discarded') AND dead.content_hash = record.content_hash)
    """


def _parameters(kind: str, model: EmbeddingModel) -> dict[str, str | int]:
    return {"kind": str(kind), "model": model.pk}


def claim_waves(run_id: int, *, now: datetime | None = None) -> list[int]:
    """Numbers of the waves to send now, so that enough are in flight; each is claimed by one caller only."""
    claimed: list[int] = []
    with connection.cursor() as cursor:
        while True:
            cursor.execute(
                """
                WITH run AS (
                    SELECT id, next_wave FROM embeddings_embeddingrun
                    WHERE id = %(run)s AND state = 'running' AND pulled_from = '' AND next_wave < waves FOR UPDATE
                ),
                claimed AS (
                    UPDATE embeddings_embeddingrun AS target SET next_wave = run.next_wave + 1 FROM run
                    WHERE target.id = run.id AND %(in_flight)s > (
                        SELECT count(DISTINCT wave) FROM embeddings_embeddingchunk AS chunk
                        WHERE chunk.run_id = run.id AND chunk.wave < run.next_wave
                            AND chunk.state NOT IN ('written', 'failed'))
                    RETURNING run.id, run.next_wave
                )
                UPDATE embeddings_embeddingchunk AS chunk SET sent_at = %(now)s FROM claimed
                WHERE chunk.run_id = claimed.id AND chunk.wave = claimed.next_wave
                RETURNING claimed.next_wave
                """,
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
