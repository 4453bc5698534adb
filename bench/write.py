"""Rate at which vectors move from the ledger to the table that queries read, against a bare COPY and upsert.

The chord's real body runs in this process; the broker is up but nobody takes the messages, so that their cost
counts. The vectors are random unit vectors, the worst case for an index.
"""

import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import report, scratch

if TYPE_CHECKING:
    from psycopg.sql import Composable

    from apps.embeddings.models import EmbeddingModel, EmbeddingRun

ROUNDS = 3
TABLE, BARE_TABLE = "embeddings_postingembedding", "bare_embedding"
# Vectors that differ from those written before: pgvector adds no node to its graph for a vector that it
# holds.
OPPOSITE = "array_fill(0, ARRAY[vector_dims(vector)])::halfvec - vector"


@dataclass(frozen=True)
class WriteTimes:
    """(rows, seconds) of each transaction."""

    steps: list[tuple[int, float]]

    def rate(self, share: slice = slice(None)) -> float:
        """Rows per second over some of the steps."""
        chosen = self.steps[share]
        return sum(rows for rows, _ in chosen) / sum(seconds for _, seconds in chosen)


def main() -> None:
    """Write without an index, then with one."""
    options = report.arguments(__doc__).parse_args()
    rows, later = (16_000, 500) if options.quick else (100_000, 5_000)
    result = report.start("Write")
    with scratch.servers():
        from apps.embeddings.index import build_index
        from apps.embeddings.models import Kind
        from apps.embeddings.registry import default_model

        model = default_model()
        sql("CREATE TABLE {bare} (LIKE {table} INCLUDING ALL)")
        add_postings(rows)
        written = without_index(result, model)
        tenth = max(len(written[0].steps) // 10, 1)
        result.at_least("write_rows_per_second", statistics.median(each.rate() for each in written), 15_000)
        decay = [each.rate(slice(-tenth, None)) / each.rate(slice(tenth)) for each in written]
        result.figure(f"last tenth ÷ first tenth: {report.spread(decay)}")
        result.at_least("write_last_tenth_to_first", statistics.median(decay), 0.8)
        started = time.perf_counter()
        build_index(model, Kind.POSTING)
        result.figure(f"index over {rows:,} vectors built in {time.perf_counter() - started:.1f} s")
        with_index(result, model, rows=later)
    report.end(result)


def without_index(result: report.Report, model: "EmbeddingModel") -> list[WriteTimes]:
    """Write all rows in each round; those of the last round stay."""
    written, bare = [], []
    for _ in range(ROUNDS):
        sql("TRUNCATE {table}, {bare}")
        run = fill_ledger(model)
        written.append(write(run))
        bare.append(bare_upsert(BARE_TABLE, copied_chunks(run)))
    compare(result, "no index yet", written, bare)
    return written


def with_index(result: report.Report, model: "EmbeddingModel", *, rows: int) -> None:
    """Write `rows` more postings in each round, into the table with its index."""
    written, bare = [], []
    for _ in range(ROUNDS):
        add_postings(rows)
        run = fill_ledger(model)
        written.append(write(run))
        chunks = copied_chunks(run, vector=OPPOSITE)
        sql("DELETE FROM {table} WHERE posting_id > (SELECT max(id) - %s FROM postings_posting)", [rows])
        bare.append(bare_upsert(TABLE, chunks))
    compare(result, "index live", written, bare)


def compare(result: report.Report, name: str, written: list[WriteTimes], bare: list[WriteTimes]) -> None:
    """Print both rates and their ratio."""
    ratios = [one.rate() / other.rate() for one, other in zip(written, bare, strict=True)]
    rates = [f"{statistics.median(each.rate() for each in rounds):,.0f}" for rounds in (written, bare)]
    result.figure(
        f"{name}: {rates[0]} rows/s; a bare COPY and upsert of the same chunks {rates[1]}; "
        f"ratio {report.spread(ratios)}"
    )


def add_postings(count: int) -> None:
    """Add postings with distinct titles, copied from one that the ORM made."""
    from psycopg.sql import SQL, Identifier

    from apps.postings.models import Posting

    first = Posting.objects.create(title=f"Nurse {Posting.objects.count()}")
    columns = SQL(", ").join(
        Identifier(str(field.column))
        for field in Posting._meta.concrete_fields
        if not field.generated and field.column not in {"id", "external_id", "title"}
    )
    sql(
        "INSERT INTO postings_posting (external_id, title, {columns}) "
        "SELECT external_id || number, title || ' ' || id || ' ' || number, {columns} "
        "FROM postings_posting, generate_series(1, %s) AS number WHERE id = %s",
        [count - 1, first.pk],
        columns=columns,
    )
    sql("ANALYZE postings_posting")


def fill_ledger(model: "EmbeddingModel") -> "EmbeddingRun":
    """Plan and send a run over all pending rows, and store random vectors for each chunk."""
    from apps.embeddings import chunk_ledger, runs
    from apps.embeddings.leases import lease_chunk
    from apps.embeddings.models import Kind
    from apps.embeddings.reading import read_texts
    from workers import tasks

    run, _ = runs.request_run(Kind.POSTING, model, reason="benchmark")
    tasks.plan_run(run.pk)
    random = np.random.default_rng(run.pk)
    for chunk_id in run.chunks.order_by("number").values_list("pk", flat=True):
        lease = lease_chunk(chunk_id, task_id=None, worker=None)
        assert lease is not None
        texts, _ = read_texts(lease)
        vectors = random.standard_normal((len(texts), model.dimensions), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        chunk_ledger.store_vectors(
            lease,
            [
                chunk_ledger.EmbeddedText(text.content_hash, text.row_ids, vector)
                for text, vector in zip(texts, vectors, strict=True)
            ],
        )
    run.refresh_from_db()
    return run


def write(run: "EmbeddingRun") -> WriteTimes:
    """Write every wave of the run with the body of its chord."""
    from django.db.models import Sum

    from workers.tasks import write_wave

    sizes = dict(run.chunks.values_list("wave").annotate(Sum("rows")).order_by())
    steps = []
    for wave in range(run.waves):
        started = time.perf_counter()
        write_wave(run.pk, wave)
        steps.append((sizes[wave], time.perf_counter() - started))
    run.refresh_from_db()
    if run.state != run.State.FINISHED or run.progress().written != run.rows:
        raise SystemExit(f"{run} is {run.state} with {run.progress().written} of {run.rows} rows written.")
    return WriteTimes(steps)


def copied_chunks(run: "EmbeddingRun", *, vector: LiteralString = "vector") -> list[tuple[int, bytes]]:
    """(rows, their binary COPY data) of each written chunk of a run; `vector` is SQL for the vector."""
    from django.db import connection
    from psycopg.sql import SQL

    copy = SQL(
        "COPY (SELECT posting_id, model_id, content_hash, {} FROM embeddings_postingembedding "
        "WHERE posting_id = ANY (%s)) TO STDOUT (FORMAT binary)"
    ).format(SQL(vector))
    chunks = []
    with connection.cursor() as cursor:
        for row_ids in run.chunks.order_by("number").values_list("row_ids", flat=True):
            with cursor.copy(copy, [row_ids]) as rows:
                chunks.append((len(row_ids), b"".join(rows)))
    return chunks


def bare_upsert(table: str, chunks: list[tuple[int, bytes]]) -> WriteTimes:
    """Write the same rows in the same transactions, with only a COPY to a temporary table and an upsert."""
    from django.db import connection, transaction
    from psycopg.sql import SQL, Identifier

    columns = SQL("posting_id, model_id, content_hash, vector")
    upsert = SQL(
        "INSERT INTO {table} ({columns}) SELECT {columns} FROM incoming "
        "ON CONFLICT (posting_id, model_id) DO UPDATE SET vector = EXCLUDED.vector; TRUNCATE incoming"
    ).format(table=Identifier(table), columns=columns)
    sql(
        "CREATE TEMPORARY TABLE IF NOT EXISTS incoming AS SELECT {columns} FROM {table} LIMIT 0",
        columns=columns,
    )
    steps = []
    with connection.cursor() as cursor:
        for rows, data in chunks:
            started = time.perf_counter()
            with transaction.atomic():
                with cursor.copy("COPY incoming FROM STDIN (FORMAT binary)") as copy:
                    copy.write(data)
                cursor.execute(upsert)
            steps.append((rows, time.perf_counter() - started))
    return WriteTimes(steps)


def sql(statement: LiteralString, parameters: Sequence[Any] = (), **parts: "Composable") -> None:
    """Execute a statement; {table} and {bare} stand for the two tables."""
    from django.db import connection
    from psycopg.sql import SQL, Identifier

    tables = {"table": Identifier(TABLE), "bare": Identifier(BARE_TABLE)}
    with connection.cursor() as cursor:
        cursor.execute(SQL(statement).format(**tables, **parts), parameters or None)


if __name__ == "__main__":
    main()
