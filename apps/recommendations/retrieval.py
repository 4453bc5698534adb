"""The nearest rows to a vector, among those that match a filter.

The strategy is chosen here and never left to the planner, which in the middle of the range walks the graph where an
exact scan is both faster and right: exact where few rows match, the HNSW index with an iterative scan where many do,
and exact again where the index returned too few.

Few is what costs an exact scan no more than the index. With `m` of `n` rows matching, an exact scan compares m vectors;
a walk along the index meets a matching row every n/m rows, so visits k × n/m of them, or a few times as many since it
looks for some to spare. They are equal at m = √(WALK × k × n), where WALK says how much dearer the walk is.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Model, QuerySet

from apps.embeddings.index import index_exists
from apps.embeddings.kinds import KindTables, tables
from apps.embeddings.models import EmbeddingModel
from apps.records.counting import estimated

# Fewer rows than that are compared one by one whatever the table's size: it takes a few milliseconds.
ALWAYS_EXACT = 1_000
LARGEST_EF_SEARCH = 1_000  # pgvector takes no more
# bench/filters.py --rows 1000000 prints strategy and time of each selectivity: below this the exact scan is the faster one.
WALK = 4
SPARE_FILTERED, SPARE_UNFILTERED = 3, 16  # times the rows needed, see `spare`


@dataclass(frozen=True)
class Neighbour:
    row_id: int
    cosine: float


@dataclass(frozen=True)
class Neighbours:
    """The nearest first. `strategy` is exact, hnsw or hnsw+exact.

    `matching` counts the rows that the filter leaves, no further than the choice needed. `ef_search` is 0 where no index was asked.
    """

    rows: list[Neighbour]
    strategy: str
    matching: int
    ef_search: int = 0


def stored_vector(kind: str, row_id: int, model: EmbeddingModel) -> str | None:
    """The row's vector with `model` in PostgreSQL's text form, None where it has none."""
    names = tables(kind)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT vector::text FROM {names.embedding} WHERE {names.key} = %s AND model_id = %s",
            [row_id, model.pk],
        )
        row = cursor.fetchone()
    return row[0] if row else None


def as_text(vector: list[float]) -> str:
    """A vector in PostgreSQL's text form."""
    return f"[{','.join(f'{value:.6g}' for value in vector)}]"


@transaction.atomic
def nearest(
    kind: str, vector: str, *, model: EmbeddingModel, matching: QuerySet[Model], k: int
) -> Neighbours:
    """Up to `k` rows of `matching` that have a vector of `model`, by cosine. `vector` is in text form."""
    search = _Search(tables(kind), model, vector, k)
    keys = keys_of(matching)
    exact_up_to = max(ALWAYS_EXACT, int(sqrt(WALK * k * search.rows())))
    few = first_of(keys, exact_up_to + 1)
    if len(few) <= exact_up_to:
        return Neighbours(search.exact(SqlKeys("SELECT unnest(%s::bigint[])", [few])), "exact", len(few))
    if not index_exists(model, kind):
        return Neighbours(search.exact(keys), "exact", len(few))
    wanted = spare(k, matching=estimated(matching), rows=search.rows())
    ef_search = min(max(settings.HNSW_EF_SEARCH, wanted), LARGEST_EF_SEARCH)
    found = search.with_index(keys, ef_search, visited=wanted)
    if len(found) < k:
        return Neighbours(search.exact(keys), "hnsw+exact", len(few), ef_search)
    return Neighbours(found, "hnsw", len(few), ef_search)


def spare(k: int, *, matching: int, rows: int) -> int:
    """How many rows to ask the index for, so that the first `k` are the right ones.

    Recall depends on how many rows the walk meets, matching or not. Where few match it meets many anyway; where all
    match, it would stop after `k`.
    """
    share = min(1.0, matching / max(rows, 1))
    return int(k * max(SPARE_FILTERED, SPARE_UNFILTERED * share))


def cosines(kind: str, vector: str, *, model: EmbeddingModel, ids: list[int]) -> dict[int, float]:
    """The cosine of each of `ids` that has a vector of `model`."""
    search = _Search(tables(kind), model, vector, len(ids))
    found = search.exact(SqlKeys("SELECT unnest(%s::bigint[])", [ids]))
    return {neighbour.row_id: neighbour.cosine for neighbour in found}


def among(ids: list[int], matching: QuerySet[Any]) -> set[int]:
    """Those of `ids` that are rows of `matching`."""
    keys = keys_of(matching)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM ({keys.sql}) AS matching(id) WHERE id = ANY (%s)", [*keys.parameters, ids]
        )
        return {row[0] for row in cursor.fetchall()}


@dataclass(frozen=True)
class SqlKeys:
    """A statement that selects primary keys, and its parameters."""

    sql: str
    parameters: list[Any]


def keys_of(rows: QuerySet[Any]) -> SqlKeys:
    sql, parameters = rows.order_by().values("pk").query.sql_with_params()
    return SqlKeys(sql, list(parameters))


def first_of(keys: SqlKeys, limit: int) -> list[int]:
    """Up to `limit` of the keys, whichever PostgreSQL comes upon first."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM ({keys.sql}) AS k LIMIT %s", [*keys.parameters, limit])
        return [row[0] for row in cursor.fetchall()]


class _Search:
    """The statements of one search."""

    def __init__(self, names: KindTables, model: EmbeddingModel, vector: str, k: int) -> None:
        self._names, self._model, self._vector, self._k = names, model, vector, k
        # The expression of the index, to the letter.
        self._distance = f"embedding.vector::halfvec({model.dimensions}) <=> %s::halfvec({model.dimensions})"

    def rows(self) -> int:
        """About how many rows there are, each with a vector or soon; 0 for a table that PostgreSQL has not looked at yet."""
        sql = "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = %s::regclass"
        return int(self._fetch(sql, [self._names.record])[0][0])

    def exact(self, keys: SqlKeys) -> list[Neighbour]:
        # MATERIALIZED and + 0: nothing for the index to sort by.
        return self._neighbours(
            f"""
            WITH matching(id) AS MATERIALIZED ({keys.sql})
            SELECT embedding.{self._names.key}, {self._distance} AS distance
            FROM matching
            JOIN {self._names.embedding} AS embedding
                ON embedding.{self._names.key} = matching.id AND embedding.model_id = {self._model.pk}
            ORDER BY ({self._distance}) + 0, 1
            LIMIT %s
            """,
            [*keys.parameters, self._vector, self._vector, self._k],
        )

    def with_index(self, keys: SqlKeys, ef_search: int, *, visited: int) -> list[Neighbour]:
        self._fetch(
            f"SET LOCAL hnsw.ef_search = {ef_search}; SET LOCAL hnsw.iterative_scan = relaxed_order; "
            f"SET LOCAL hnsw.max_scan_tuples = {settings.HNSW_MAX_SCAN_TUPLES}; "
            # What is left to the planner is the walk along the index, row by row.
            "SET LOCAL enable_sort = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
        )
        rows = self._neighbours(
            f"""
            SELECT id, distance FROM (
                SELECT embedding.{self._names.key}, {self._distance}
                FROM {self._names.embedding} AS embedding
                WHERE embedding.model_id = {self._model.pk} AND embedding.{self._names.key} IN ({keys.sql})
                ORDER BY {self._distance}
                LIMIT %s
            ) AS visited(id, distance)
            ORDER BY distance, id  -- the relaxed order is only nearly sorted
            LIMIT %s
            """,
            [self._vector, *keys.parameters, self._vector, visited, self._k],
        )
        self._fetch(
            "SET LOCAL enable_sort = on; SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on"
        )
        return rows

    def _neighbours(self, sql: str, parameters: list[Any]) -> list[Neighbour]:
        return [Neighbour(row_id, 1.0 - distance) for row_id, distance in self._fetch(sql, parameters)]

    @staticmethod
    def _fetch(sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []
