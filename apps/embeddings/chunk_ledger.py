"""Chunks in the ledger: store vectors, write vectors, finish the run. Each step may run twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from apps.embeddings import dead_letters, packing, throttling
from apps.embeddings.dead_letters import FailedText
from apps.embeddings.errors import LeaseLostError
from apps.embeddings.kinds import tables
from apps.embeddings.leases import Lease
from apps.embeddings.models import EmbeddingChunk, EmbeddingRun, Invalidation
from apps.embeddings.packing import PackedVectors
from apps.sql import load

# Rows in one throttled slice. The insertion of a vector into a live HNSW index takes milliseconds of a core.
THROTTLED_ROWS = 8


@dataclass(frozen=True)
class EmbeddedText:
    """The rows with one content hash and their vector. `reused`: the vector existed before this chunk."""

    content_hash: bytes
    row_ids: list[int]
    vector: npt.NDArray[np.floating[Any]]
    reused: bool = False


def store_vectors(lease: Lease, embedded: Sequence[EmbeddedText], failed: Sequence[FailedText] = ()) -> None:
    """Store the vectors of a chunk in the ledger and its failed texts as dead letters, in one transaction.

    Raises LeaseLostError, and then stores nothing.
    """
    ids = [row_id for each in embedded for row_id in each.row_ids]
    hashes = [each.content_hash for each in embedded for _ in each.row_ids]
    repeated = np.repeat(np.arange(len(embedded)), [len(each.row_ids) for each in embedded])
    vectors = np.asarray([each.vector for each in embedded], np.float32).reshape(-1, lease.model.dimensions)
    # A text is encoded for its first row; its other rows reuse the vector.
    reused = sum(len(each.row_ids) - (not each.reused) for each in embedded)
    dead = sum(len(each.text.row_ids) for each in failed)
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
            raise LeaseLostError(f"Lost the lease of chunk {lease.chunk_id}: another worker embeds it.")
        dead_letters.record_dead_letters(lease, failed)


def write_chunk(chunk_id: int) -> bool:
    """Write the vectors of an embedded chunk to the rows, in one transaction; returns whether this call did.

    PostgreSQL moves the vectors from the ledger. A row gets its vector only if its content still is what was
    embedded; rows that were edited or deleted are counted as skipped. The invalidation that the run owes is
    recorded in the same transaction. With EMBEDDING_IDLE the work is throttled and holds the locks of the
    chunk for longer.
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
        statement = load(__file__, "write_vectors").format(**tables(kind).sql)
        written = 0
        ids.sort()
        slice_size = THROTTLED_ROWS if settings.EMBEDDING_IDLE else len(ids)
        for start, stop in throttling.throttled_slices(len(ids), slice_size):
            cursor.execute(
                statement,
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
        # A chunk was written, so the next pause starts with the shortest backoff again.
        EmbeddingRun.objects.filter(pk=run_id, pauses__gt=0).update(pauses=0)
        if written:
            Invalidation.objects.bulk_create([Invalidation(run_id=run_id)], ignore_conflicts=True)
    return True


def chunks_of_wave(run_id: int, wave: int) -> list[int]:
    """Ids of the wave's chunks that are not done, in the order of their numbers."""
    chunks = EmbeddingChunk.objects.filter(run_id=run_id, wave=wave)
    unfinished = chunks.exclude(state__in=EmbeddingChunk.TERMINAL_STATES)
    return list(unfinished.order_by("number").values_list("pk", flat=True))


def embedded_chunks(run_id: int, wave: int) -> list[int]:
    """Ids of the wave's chunks whose vectors must be written, in the order of their numbers."""
    chunks = EmbeddingChunk.objects.filter(run_id=run_id, wave=wave, state=EmbeddingChunk.State.EMBEDDED)
    return list(chunks.order_by("number").values_list("pk", flat=True))


def finish_run(run_id: int) -> bool:
    """Finish a run whose chunks are all terminal; True for exactly one caller."""
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
            indexed_at=None,
        )
    )


def mark_indexed(run_id: int) -> None:
    """Record that the indexes were checked or built after the run."""
    EmbeddingRun.objects.filter(pk=run_id, state=EmbeddingRun.State.FINISHED).update(
        indexed_at=timezone.now()
    )
