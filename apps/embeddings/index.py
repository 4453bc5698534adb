"""HNSW indexes: a partial one for each model and kind, built concurrently."""

import logging

import psutil
from django.conf import settings
from django.db import connection
from psycopg.sql import SQL, Identifier, Literal

from apps.embeddings.kinds import tables
from apps.embeddings.models import EmbeddingModel

logger = logging.getLogger(__name__)

MIB = 1024 * 1024


def index_name(model: EmbeddingModel, kind: str) -> str:
    """The name of the index of a model over a kind."""
    return f"{tables(kind).embedding}_hnsw_{model.pk}"


def index_exists(model: EmbeddingModel, kind: str) -> bool:
    """Whether the index exists and is valid."""
    return _validity(index_name(model, kind)) is True


def build_index(model: EmbeddingModel, kind: str) -> bool:
    """Build the index if it is missing or invalid; returns whether this call built it.

    Does not block writes. Idempotent: returns at once while another caller builds the index. Must not run in
    a transaction.
    """
    name, names = index_name(model, kind), tables(kind)
    with connection.cursor() as cursor:
        # Not the blocking form: a session that waits holds a snapshot, and the builder would wait for that to
        # end.
        cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [name])
        if not cursor.fetchone()[0]:
            return False
        try:
            if index_exists(model, kind):
                return False
            _drop(name)  # a killed build leaves an invalid index
            cursor.execute("SELECT set_config('maintenance_work_mem', %s, false)", [f"{_build_memory()}MB"])
            cursor.execute(
                "SELECT set_config('max_parallel_maintenance_workers', %s, false)", [str(_build_workers())]
            )
            logger.info("Building %s", name)
            cursor.execute(
                SQL(
                    "CREATE INDEX CONCURRENTLY {name} ON {embedding} "
                    "USING hnsw ((vector::halfvec({dimensions})) halfvec_cosine_ops) "
                    "WITH (m = {m}, ef_construction = {ef_construction}) WHERE model_id = {model}"
                ).format(
                    **names.sql,
                    name=Identifier(name),
                    dimensions=Literal(model.dimensions),
                    m=Literal(settings.HNSW_M),
                    ef_construction=Literal(settings.HNSW_EF_CONSTRUCTION),
                    model=Literal(model.pk),
                )
            )
            cursor.execute(SQL("ANALYZE {embedding}").format(**names.sql))
        finally:
            cursor.execute("RESET maintenance_work_mem; RESET max_parallel_maintenance_workers")
            cursor.execute("SELECT pg_advisory_unlock(hashtext(%s))", [name])
    return True


def drop_index(model: EmbeddingModel, kind: str) -> None:
    """Drop the index if it exists. Must not run in a transaction."""
    _drop(index_name(model, kind))


def _drop(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(SQL("DROP INDEX CONCURRENTLY IF EXISTS {name}").format(name=Identifier(name)))


def _validity(name: str) -> bool | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE relname = %s",
            [name],
        )
        row = cursor.fetchone()
    return row[0] if row else None


def _build_memory() -> int:
    """Memory for the build, in MiB. pgvector builds several times slower if the graph does not fit."""
    if settings.HNSW_BUILD_MEMORY_MB:
        return int(settings.HNSW_BUILD_MEMORY_MB)
    return min(max(psutil.virtual_memory().total // 8 // MIB, 64), 4096)


def _build_workers() -> int:
    return max((psutil.cpu_count() or 1) // 2, 1)
