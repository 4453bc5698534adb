"""One partial HNSW index for each model and kind, built concurrently."""

import logging

import psutil
from django.conf import settings
from django.db import connection

from apps.embeddings.kinds import tables
from apps.embeddings.models import EmbeddingModel

logger = logging.getLogger(__name__)

MIB = 1024 * 1024


def index_name(model: EmbeddingModel, kind: str) -> str:
    return f"{tables(kind).embedding}_hnsw_{model.pk}"


def index_exists(model: EmbeddingModel, kind: str) -> bool:
    """Whether the index is there and complete."""
    return _validity(index_name(model, kind)) is True


def build_index(model: EmbeddingModel, kind: str) -> bool:
    """Builds the index where it is missing or was left half-built; returns whether this call built it.

    Writes go on meanwhile. Idempotent: where another builder is at work, this call leaves it to that one.
    Must not run in a transaction.
    """
    name, names = index_name(model, kind), tables(kind)
    with connection.cursor() as cursor:
        # Not the waiting form: a session that waits holds a snapshot, for whose end the builder would wait in turn.
        cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [name])
        if not cursor.fetchone()[0]:
            return False
        try:
            if index_exists(model, kind):
                return False
            cursor.execute(
                f"DROP INDEX CONCURRENTLY IF EXISTS {name}"
            )  # one that a killed build left invalid
            cursor.execute(f"SET maintenance_work_mem = '{_build_memory()}MB'")
            cursor.execute(f"SET max_parallel_maintenance_workers = {_build_workers()}")
            logger.info("building %s", name)
            cursor.execute(
                f"CREATE INDEX CONCURRENTLY {name} ON {names.embedding} "
                f"USING hnsw ((vector::halfvec({model.dimensions})) halfvec_cosine_ops) "
                f"WITH (m = {settings.HNSW_M}, ef_construction = {settings.HNSW_EF_CONSTRUCTION}) "
                f"WHERE model_id = {model.pk}"
            )
            cursor.execute(f"ANALYZE {names.embedding}")
        finally:
            cursor.execute("RESET maintenance_work_mem; RESET max_parallel_maintenance_workers")
            cursor.execute("SELECT pg_advisory_unlock(hashtext(%s))", [name])
    return True


def drop_index(model: EmbeddingModel, kind: str) -> None:
    """Drops the index where there is one. Must not run in a transaction."""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index_name(model, kind)}")


def _validity(name: str) -> bool | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE relname = %s",
            [name],
        )
        row = cursor.fetchone()
    return row[0] if row else None


def _build_memory() -> int:
    """MiB. The whole graph should fit: pgvector builds several times slower once it spills."""
    if settings.HNSW_BUILD_MEMORY_MB:
        return int(settings.HNSW_BUILD_MEMORY_MB)
    return min(max(psutil.virtual_memory().total // 8 // MIB, 64), 4096)


def _build_workers() -> int:
    return max((psutil.cpu_count() or 1) // 2, 1)
