"""Search the rows nearest to a vector among those that match a filter.

The index is HNSW (Y. Malkov, D. Yashunin, "Efficient and robust approximate nearest neighbor search using
hierarchical navigable small world graphs", IEEE TPAMI 42(4), 2020) with pgvector's iterative scan. The
strategy is chosen here and not by the planner, which in the middle of the range walks the graph where an
exact scan is both faster and right: exact where few rows match, the index where many do, and exact again
where the index returned too few.

Few means that an exact scan costs no more than the index. With `m` of `n` rows matching, an exact scan
compares m vectors; a walk along the index meets a matching row every n/m rows, so it visits about k × n/m of
them. The costs are equal at m = √(WALK_COST × k × n), where WALK_COST is the price of visiting a row, in
comparisons.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Model, QuerySet
from psycopg.sql import SQL, Composable, Literal

from apps.embeddings.index import index_exists
from apps.embeddings.kinds import KindTables, tables
from apps.embeddings.models import EmbeddingModel
from apps.recommendations.subqueries import Subquery
from apps.records.counting import estimate_rows
from apps.sql import load

MAX_EXACT = 1_000  # rows that are compared one by one whatever the table's size, which takes milliseconds
MAX_EF_SEARCH = 1_000  # pgvector's own limit
WALK_COST = 4  # measured with bench/filters.py --rows 1000000, which prints strategy and time for each filter
# Multiples of k, see `oversampled`.
OVERSAMPLING_FILTERED, OVERSAMPLING_UNFILTERED = 3, 16


@dataclass(frozen=True)
class Neighbour:
    """A row and the cosine of its vector with the query's."""

    row_id: int
    cosine: float


@dataclass(frozen=True)
class Neighbours:
    """The nearest rows, the nearest first.

    `strategy` is exact, hnsw or hnsw+exact. `matching` counts the rows that the filter leaves, up to the
    limit for an exact scan. `ef_search` is 0 where the index was not used.
    """

    rows: list[Neighbour]
    strategy: str
    matching: int
    ef_search: int = 0


def stored_vector(kind: str, row_id: int, model: EmbeddingModel) -> str | None:
    """The row's vector by `model` in PostgreSQL's text form, None where it has none."""
    statement = SQL("SELECT vector::text FROM {embedding} WHERE {key} = %s AND model_id = %s")
    with connection.cursor() as cursor:
        cursor.execute(statement.format(**tables(kind).sql), [row_id, model.pk])
        row = cursor.fetchone()
    return row[0] if row else None


def as_text(vector: list[float]) -> str:
    """A vector in PostgreSQL's text form."""
    return f"[{','.join(f'{value:.6g}' for value in vector)}]"


@transaction.atomic
def nearest(
    kind: str, vector: str, *, model: EmbeddingModel, matching: QuerySet[Model], k: int
) -> Neighbours:
    """Return up to `k` rows of `matching` that have a vector of `model`, by cosine. `vector` is in text
    form."""
    search = _Search(tables(kind), model, vector, k)
    keys = Subquery.of(matching)
    max_exact = max(MAX_EXACT, int(sqrt(WALK_COST * k * search.rows())))
    few = first_keys(keys, max_exact + 1)
    if len(few) <= max_exact:
        return Neighbours(search.exact(Subquery.of_keys(few)), "exact", len(few))
    if not index_exists(model, kind):
        return Neighbours(search.exact(keys), "exact", len(few))
    visited = oversampled(k, matching=estimate_rows(matching), rows=search.rows())
    ef_search = min(max(settings.HNSW_EF_SEARCH, visited), MAX_EF_SEARCH)
    found = search.with_index(keys, ef_search, visited=visited)
    if len(found) < k:
        return Neighbours(search.exact(keys), "hnsw+exact", len(few), ef_search)
    return Neighbours(found, "hnsw", len(few), ef_search)


def oversampled(k: int, *, matching: int, rows: int) -> int:
    """The number of rows to request from the index, so that the first `k` of them are the right ones.

    Recall depends on how many rows the walk visits, matching or not. Where few match it visits many anyway;
    where all match, it would stop after `k`.
    """
    share = min(1.0, matching / max(rows, 1))
    return int(k * max(OVERSAMPLING_FILTERED, OVERSAMPLING_UNFILTERED * share))


def cosines(kind: str, vector: str, *, model: EmbeddingModel, ids: list[int]) -> dict[int, float]:
    """The cosine of each of `ids` that has a vector of `model`."""
    search = _Search(tables(kind), model, vector, len(ids))
    return {neighbour.row_id: neighbour.cosine for neighbour in search.exact(Subquery.of_keys(ids))}


def keys_among(ids: list[int], matching: QuerySet[Any]) -> set[int]:
    """Those of `ids` that are rows of `matching`."""
    keys = Subquery.of(matching)
    statement = SQL("SELECT id FROM ({keys}) AS matching(id) WHERE id = ANY (%(ids)s)").format(keys=keys.sql)
    with connection.cursor() as cursor:
        cursor.execute(statement, {**keys.parameters, "ids": ids})
        return {row[0] for row in cursor.fetchall()}


def first_keys(keys: Subquery, limit: int) -> list[int]:
    """Up to `limit` of the keys, in any order."""
    statement = SQL("SELECT * FROM ({keys}) AS matching LIMIT %(limit)s").format(keys=keys.sql)
    with connection.cursor() as cursor:
        cursor.execute(statement, {**keys.parameters, "limit": limit})
        return [row[0] for row in cursor.fetchall()]


class _Search:
    """The statements of one search."""

    def __init__(self, names: KindTables, model: EmbeddingModel, vector: str, k: int) -> None:
        self._names = names
        # Literals: a partial index over an expression serves only the statement that repeats both to the
        # letter.
        dimensions = Literal(model.dimensions)
        self._parts: dict[str, Composable] = {
            **names.sql,
            "model": Literal(model.pk),
            "distance": SQL(
                "embedding.vector::halfvec({dimensions}) <=> %(vector)s::halfvec({dimensions})"
            ).format(dimensions=dimensions),
        }
        self._parameters: dict[str, Any] = {"vector": vector, "k": k}

    def rows(self) -> int:
        """The number of rows as of PostgreSQL's last look at the table; 0 before the first."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = %s::regclass",
                [self._names.record],
            )
            return int(cursor.fetchone()[0])

    def exact(self, keys: Subquery) -> list[Neighbour]:
        return self._neighbours("exact_neighbours", keys)

    def with_index(self, keys: Subquery, ef_search: int, *, visited: int) -> list[Neighbour]:
        # The planner is left one plan: the walk along the index, row by row.
        before = SQL(
            "SET LOCAL hnsw.ef_search = {}; SET LOCAL hnsw.iterative_scan = relaxed_order; "
            "SET LOCAL hnsw.max_scan_tuples = {}; "
            "SET LOCAL enable_sort = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
        )
        after = "SET LOCAL enable_sort = on; SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on"
        with connection.cursor() as cursor:
            cursor.execute(before.format(Literal(ef_search), Literal(settings.HNSW_MAX_SCAN_TUPLES)))
            rows = self._neighbours("index_neighbours", keys, visited=visited)
            cursor.execute(after)
        return rows

    def _neighbours(self, name: str, keys: Subquery, **parameters: int) -> list[Neighbour]:
        statement = load(__file__, name).format(**self._parts, matching=keys.sql)
        with connection.cursor() as cursor:
            cursor.execute(statement, {**keys.parameters, **self._parameters, **parameters})
            return [Neighbour(row_id, 1.0 - distance) for row_id, distance in cursor.fetchall()]
