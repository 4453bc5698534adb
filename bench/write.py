"""How fast vectors go from the ledger to where queries find them: the chord's real body against a bare COPY and upsert.

The vectors are random unit vectors, for an index the worst case. The body runs in this process, with the broker there
but nobody to take the messages it sends: their cost is counted.
"""

import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import report, scratch

if TYPE_CHECKING:
    from apps.embeddings.models import EmbeddingModel, EmbeddingRun

ROUNDS = 3
TABLE, BARE_TABLE = "embeddings_postingembedding", "bare_embedding"
COLUMNS = "posting_id, model_id, content_hash, vector"


@dataclass(frozen=True)
class Timed:
    """What was written, step by step: (rows, seconds)."""

    steps: list[tuple[int, float]]

    def rate(self, share: slice = slice(None)) -> float:
        """Rows per second over some of the steps."""
        chosen = self.steps[share]
        return sum(rows for rows, _ in chosen) / sum(seconds for _, seconds in chosen)


def main() -> None:
    options = report.arguments(__doc__).parse_args()
    rows, later = (16_000, 500) if options.quick else (100_000, 5_000)
    result = report.start("Write")
    with scratch.servers():
        from apps.embeddings.index import build_index
        from apps.embeddings.models import Kind
        from apps.embeddings.registry import default_model

        model = default_model()
        sql(f"CREATE TABLE {BARE_TABLE} (LIKE {TABLE} INCLUDING ALL)")
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


def without_index(result: report.Report, model: "EmbeddingModel") -> list[Timed]:
    """Writes everything, several times over; the last time it stays."""
    written, bare = [], []
    for _ in range(ROUNDS):
        sql(f"TRUNCATE {TABLE}, {BARE_TABLE}")
        run = fill_ledger(model)
        written.append(write(run))
        bare.append(bare_upsert(BARE_TABLE, copied_chunks(run)))
    compare(result, "no index yet", written, bare)
    return written


def with_index(result: report.Report, model: "EmbeddingModel", *, rows: int) -> None:
    """Writes `rows` further postings, several times over, into a table whose index is there."""
    written, bare = [], []
    for _ in range(ROUNDS):
        add_postings(rows)
        run = fill_ledger(model)
        written.append(write(run))
        # Other vectors: pgvector gives a vector that its graph holds already no place of its own.
        chunks = copied_chunks(run, vector=f"array_fill(0, ARRAY[{model.dimensions}])::halfvec - vector")
        sql(f"DELETE FROM {TABLE} WHERE posting_id > (SELECT max(id) - {rows} FROM postings_posting)")
        bare.append(bare_upsert(TABLE, chunks))
    compare(result, "index live", written, bare)


def compare(result: report.Report, name: str, written: list[Timed], bare: list[Timed]) -> None:
    ratios = [one.rate() / other.rate() for one, other in zip(written, bare, strict=True)]
    result.figure(
        f"{name}: {rates(written)} rows/s; a bare COPY and upsert of the same chunks {rates(bare)}; "
        f"ratio {report.spread(ratios)}"
    )


def rates(rounds: list[Timed]) -> str:
    values = [each.rate() for each in rounds]
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


def add_postings(count: int) -> None:
    """Postings of distinct titles, copied from one that the model made."""
    from apps.postings.models import Posting

    first = Posting.objects.create(title=f"Nurse {Posting.objects.count()}")
    columns = ", ".join(
        str(field.column)
        for field in Posting._meta.concrete_fields
        if not field.generated and field.column not in {"id", "external_id", "title"}
    )
    sql(
        f"INSERT INTO postings_posting (external_id, title, {columns}) "
        f"SELECT external_id || number, title || ' ' || id || ' ' || number, {columns} "
        f"FROM postings_posting, generate_series(1, {count - 1}) AS number WHERE id = {first.pk}"
    )
    sql("ANALYZE postings_posting")


def fill_ledger(model: "EmbeddingModel") -> "EmbeddingRun":
    """A run over what is pending, planned and sent as ever, of which each chunk is embedded: with random vectors."""
    from apps.embeddings import ledger, runs
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
        ledger.store_vectors(
            lease,
            [
                ledger.Embedded(text.content_hash, text.row_ids, vector)
                for text, vector in zip(texts, vectors, strict=True)
            ],
        )
    run.refresh_from_db()
    return run


def write(run: "EmbeddingRun") -> Timed:
    """Every wave of the run by the body of its chord."""
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
        raise SystemExit(f"{run} is {run.state} with {run.progress().written} of {run.rows} rows written")
    return Timed(steps)


def copied_chunks(run: "EmbeddingRun", *, vector: str = "vector") -> list[tuple[int, bytes]]:
    """(rows, what COPY takes for them) of each chunk of a run that is written; `vector` is SQL for the vector."""
    from django.db import connection

    chunks = []
    with connection.cursor() as cursor:
        for row_ids in run.chunks.order_by("number").values_list("row_ids", flat=True):
            rows = f"SELECT posting_id, model_id, content_hash, {vector} FROM {TABLE} WHERE posting_id = ANY (%s)"
            with cursor.copy(f"COPY ({rows}) TO STDOUT (FORMAT binary)", [row_ids]) as copy:
                chunks.append((len(row_ids), b"".join(copy)))
    return chunks


def bare_upsert(table: str, chunks: list[tuple[int, bytes]]) -> Timed:
    """The same rows in the same transactions, with nothing but a COPY to a temporary table and an upsert."""
    from django.db import connection, transaction

    sql(f"CREATE TEMPORARY TABLE IF NOT EXISTS incoming AS SELECT {COLUMNS} FROM {TABLE} LIMIT 0")
    steps = []
    with connection.cursor() as cursor:
        for rows, data in chunks:
            started = time.perf_counter()
            with transaction.atomic():
                with cursor.copy(f"COPY incoming ({COLUMNS}) FROM STDIN (FORMAT binary)") as copy:
                    copy.write(data)
                cursor.execute(
                    f"INSERT INTO {table} ({COLUMNS}) SELECT {COLUMNS} FROM incoming "
                    "ON CONFLICT (posting_id, model_id) DO UPDATE SET vector = EXCLUDED.vector"
                )
                cursor.execute("TRUNCATE incoming")
            steps.append((rows, time.perf_counter() - started))
    return Timed(steps)


def sql(statement: str) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement)


if __name__ == "__main__":
    main()
