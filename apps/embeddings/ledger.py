"""The ledger of embedded chunks: stored, written, finished. Every step is one compare-and-set: it may run twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from apps.embeddings import dead_letters, packing, resting
from apps.embeddings.dead_letters import Failure
from apps.embeddings.errors import LeaseLostError
from apps.embeddings.kinds import KindTables, tables
from apps.embeddings.leases import Lease
from apps.embeddings.models import EmbeddingChunk, EmbeddingRun, Invalidation
from apps.embeddings.packing import PackedVectors

# Entering a live HNSW index takes a vector some milliseconds of a core.
GENTLE_ROWS = 8


@dataclass(frozen=True)
class Embedded:
    """Rows of one content and their vector. `reused`: the vector was there before this chunk was encoded."""

    content_hash: bytes
    row_ids: list[int]
    vector: npt.NDArray[np.floating[Any]]
    reused: bool = False


def store_vectors(lease: Lease, embedded: Sequence[Embedded], failures: Sequence[Failure] = ()) -> None:
    """Puts a chunk's vectors into the ledger and its failures among the dead letters, in one transaction.

    Raises LeaseLostError, and then nothing is stored.
    """
    ids = [row_id for each in embedded for row_id in each.row_ids]
    hashes = [each.content_hash for each in embedded for _ in each.row_ids]
    repeated = np.repeat(np.arange(len(embedded)), [len(each.row_ids) for each in embedded])
    vectors = np.asarray([each.vector for each in embedded], np.float32).reshape(-1, lease.model.dimensions)
    # A text is encoded for its first row; the others take its vector.
    reused = sum(len(each.row_ids) - (not each.reused) for each in embedded)
    dead = sum(len(failure.text.row_ids) for failure in failures)
    with transaction.atomic(), packing.binary_cursor() as cursor:
        cursor.execute(
            """
            UPDATE embeddings_embeddingchunk
            SET state = 'embedded', lease = NULL, leased_until = NULL, embedded_at = now(), error = '',
                embedded_ids = %(ids)s, embedded_hashes = %(hashes)s, vectors = %(vectors)b,
                rows_reused = %(reused)s, rows_dead = %(dead)s, rows_skipped = rows - %(dead)s - %(embedded)s
            WHERE id = %(chunk)s AND lease = %(lease)s AND state = 'leased'
            """,
            {
                "ids": ids,
                "hashes": hashes,
                "vectors": PackedVectors(vectors[repeated]),
                "reused": reused,
                "dead": dead,
                "embedded": len(ids),
                "chunk": lease.chunk_id,
                "lease": lease.token,
            },
        )
        if not cursor.rowcount:
            raise LeaseLostError(f"chunk {lease.chunk_id}: taken over while it was being embedded")
        dead_letters.bury(lease, failures)


def write_chunk(chunk_id: int) -> bool:
    """Moves an embedded chunk's vectors to where queries find them, in one transaction; whether it did.

    The vectors go from the ledger to the side table inside PostgreSQL. A row is written only where its content
    still is what was embedded; one that was edited or deleted meanwhile is counted as skipped. What the caches
    must hear is recorded in the same transaction. With EMBEDDING_IDLE it rests
    after each few rows, and holds the locks of the chunk meanwhile.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT run.id, run.kind, run.model_id, chunk.embedded_ids
            FROM embeddings_embeddingchunk AS chunk
            JOIN embeddings_embeddingrun AS run ON run.id = chunk.run_id
            JOIN embeddings_embeddingmodel AS model ON model.id = run.model_id
            WHERE chunk.id = %s AND chunk.state = 'embedded'
            FOR UPDATE OF chunk FOR KEY SHARE OF model
            """,
            [chunk_id],
        )
        row = cursor.fetchone()
        if row is None:
            return False
        run_id, kind, model_id, ids = row
        written = 0
        ids.sort()
        for start, stop in resting.parts(len(ids), GENTLE_ROWS if settings.EMBEDDING_IDLE else len(ids)):
            cursor.execute(
                _write_statement(tables(kind)),
                {"chunk": chunk_id, "model": model_id, "first": ids[start], "last": ids[stop - 1]},
            )
            written += cursor.rowcount
        cursor.execute(
            """
            UPDATE embeddings_embeddingchunk
            SET state = 'written', written_at = now(), rows_written = %s,
                rows_skipped = rows_skipped + cardinality(embedded_ids) - %s,
                embedded_ids = NULL, embedded_hashes = NULL, vectors = NULL
            WHERE id = %s
            """,
            [written, written, chunk_id],
        )
        EmbeddingRun.objects.filter(pk=run_id, pauses__gt=0).update(
            pauses=0
        )  # what it waited for has come back
        if written:
            Invalidation.objects.bulk_create([Invalidation(run_id=run_id)], ignore_conflicts=True)
    return True


def _write_statement(names: KindTables) -> str:
    # FOR KEY SHARE keeps a row from being deleted until the vector's foreign key stands. Ordered by key, so that
    # two writers never wait for each other in a circle.
    return f"""
        INSERT INTO {names.embedding} AS target ({names.key}, model_id, content_hash, vector)
        SELECT embedded.id, %(model)s, embedded.hash, embedded.vector
        FROM embeddings_embeddingchunk AS chunk,
             unnest(chunk.embedded_ids, chunk.embedded_hashes, chunk.vectors) AS embedded(id, hash, vector)
        JOIN {names.record} AS record ON record.id = embedded.id AND record.content_hash = embedded.hash
        WHERE chunk.id = %(chunk)s AND embedded.id BETWEEN %(first)s AND %(last)s
        ORDER BY embedded.id
        FOR KEY SHARE OF record
        ON CONFLICT ({names.key}, model_id) DO UPDATE
            SET content_hash = EXCLUDED.content_hash, vector = EXCLUDED.vector
            WHERE target.content_hash <> EXCLUDED.content_hash
    """


def chunks_of_wave(run_id: int, wave: int) -> list[int]:
    """Chunks of the wave that are not done, in the order of their numbers."""
    return list(
        EmbeddingChunk.objects.filter(run_id=run_id, wave=wave)
        .exclude(state__in=EmbeddingChunk.TERMINAL_STATES)
        .order_by("number")
        .values_list("pk", flat=True)
    )


def embedded_chunks(run_id: int, wave: int) -> list[int]:
    """Chunks of the wave whose vectors wait to be written."""
    return list(
        EmbeddingChunk.objects.filter(run_id=run_id, wave=wave, state=EmbeddingChunk.State.EMBEDDED)
        .order_by("number")
        .values_list("pk", flat=True)
    )


def finish_run(run_id: int) -> bool:
    """Finishes a run whose chunks are all terminal; True for exactly one caller."""
    open_chunks = EmbeddingChunk.objects.filter(run_id=run_id).exclude(
        state__in=EmbeddingChunk.TERMINAL_STATES
    )
    return bool(
        EmbeddingRun.objects.filter(pk=run_id, state=EmbeddingRun.State.RUNNING)
        .exclude(pk__in=open_chunks.values("run_id"))
        .update(
            state=EmbeddingRun.State.FINISHED,
            finished_at=timezone.now(),
            finishes=F("finishes") + 1,
            prepared_at=None,
        )
    )


def mark_prepared(run_id: int) -> None:
    """Notes that the indexes were seen to after the run."""
    EmbeddingRun.objects.filter(pk=run_id, state=EmbeddingRun.State.FINISHED).update(
        prepared_at=timezone.now()
    )
