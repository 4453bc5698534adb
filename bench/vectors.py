"""Vectors for rows that no model embedded, and exact search over all vectors without the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from apps.embeddings.models import EmbeddingModel

Vectors = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]

COSINES = (0.55, 0.95)
BATCH = 5_000
READ = 50_000
SAME = 1e-5  # a row as near as the k-th, up to the arithmetic, is as good as it


@dataclass(frozen=True)
class Centres:
    """Vectors of length 1 that others are put around, at a cosine within `cosines`.

    Each belongs to a group of rows, as vectors of one profession lie together. `apart`: vectors of a model, the others
    are turned in directions in which two of these differ; without them in any direction.
    """

    vectors: Vectors
    groups: Sequence[str]
    cosines: tuple[float, float] = COSINES
    apart: Vectors | None = None

    def of(self, groups: Sequence[str], random: np.random.Generator) -> Vectors:
        """A centre for a row of each group: one of the group, or where it has none any."""
        own, wanted = np.array(self.groups), np.array(groups)
        chosen = random.integers(len(own), size=len(wanted))
        for group in np.intersect1d(own, wanted):
            rows = np.flatnonzero(wanted == group)
            chosen[rows] = random.choice(np.flatnonzero(own == group), size=len(rows))
        return self.vectors[chosen]


def around(
    centres: Vectors, cosines: tuple[float, float], random: np.random.Generator, *, apart: Vectors | None
) -> Vectors:
    """Each of `centres`, turned away by chance to a cosine within `cosines`. All are of length 1.

    Vectors of texts lie in few of all directions: they are turned as far as two of `apart` differ, which a model made.
    Without these they are turned in any direction, which no index over neighbours is made for.
    """
    if apart is None:
        away = random.standard_normal(centres.shape, np.float32)
    else:
        one, other = random.integers(len(apart), size=(2, len(centres)))
        other = np.where(one == other, (other + 1) % len(apart), other)
        away = apart[one] - apart[other]
    away -= (away * centres).sum(axis=1, keepdims=True) * centres
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    cosine = random.uniform(*cosines, size=(len(centres), 1)).astype(np.float32)
    return np.asarray(cosine * centres + np.sqrt(1 - cosine**2) * away, np.float32)


def directions(vectors: Vectors) -> float:
    """In how many directions vectors differ: (Σ variance)² ÷ Σ variance², as many as dimensions where all weigh the same."""
    variances = np.linalg.eigvalsh(np.cov(vectors, rowvar=False))
    return float(variances.sum() ** 2 / (variances**2).sum())


def normalised(vectors: Vectors) -> Vectors:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@dataclass(frozen=True)
class Stored:
    """All vectors of postings by position, and the primary key at each, ascending."""

    ids: Positions
    vectors: Vectors

    def cosines(self, queries: Vectors) -> Vectors:
        """Queries × rows: all cosines at once, since a million vectors pass through memory no quicker for one query."""
        return queries @ self.vectors.T


def recall(found: Sequence[int], stored: Stored, cosines: Vectors, positions: Positions, *, k: int) -> float:
    """The share of the `k` nearest rows at `positions` that the first `k` of `found` hold, or rows as near.

    `cosines` are those of one query with all rows.
    """
    due = min(k, len(positions))
    if not due:
        return 1.0
    some = cosines[positions]
    right = stored.ids[positions[some >= np.partition(some, -due)[-due] - SAME]]
    return len(np.intersect1d(found[:k], right)) / due


def read(model: "EmbeddingModel") -> Stored:
    """The vectors of `model` as the database holds them, in half precision."""
    from apps.embeddings.packing import binary_cursor

    element = np.dtype([("dimensions", ">u2"), ("unused", ">u2"), ("values", ">f2", (model.dimensions,))])
    ids, parts = [0], [np.empty((0, model.dimensions), np.float32)]
    with binary_cursor() as cursor:
        while True:
            cursor.execute(
                "SELECT posting_id, vector FROM embeddings_postingembedding "
                "WHERE model_id = %s AND posting_id > %s ORDER BY posting_id LIMIT %s",
                [model.pk, ids[-1], READ],
                binary=True,
            )
            rows = cursor.fetchall()
            ids += [row[0] for row in rows]
            packed = np.frombuffer(b"".join(row[1] for row in rows), element)
            parts.append(normalised(packed["values"].astype(np.float32)))
            if len(rows) < READ:
                return Stored(np.array(ids[1:], np.int64), np.concatenate(parts))


def fill(kind: str, model: "EmbeddingModel", centres: Centres) -> None:
    """A vector for each row of `kind` that has none: that of an equal text, or one around a centre of its group.

    Groups are job families; candidates have none.
    """
    from django.db import connection

    from apps.embeddings.kinds import tables

    names = tables(kind)
    group = "min(job_family)" if kind == "posting" else "''"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO {names.embedding} ({names.key}, model_id, content_hash, vector)
            SELECT DISTINCT ON (record.id) record.id, twin.model_id, twin.content_hash, twin.vector
            FROM {names.record} AS record
            JOIN {names.embedding} AS twin ON twin.model_id = %s AND twin.content_hash = record.content_hash
            ON CONFLICT DO NOTHING
            """,
            [model.pk],
        )
        cursor.execute(
            f"SELECT content_hash, {group} FROM {names.record} AS record WHERE NOT EXISTS "
            f"(SELECT FROM {names.embedding} WHERE {names.key} = record.id AND model_id = %s) "
            "GROUP BY content_hash ORDER BY content_hash",
            [model.pk],
        )
        rows = cursor.fetchall()
    random = np.random.default_rng(0)
    around_these = centres.of([row[1] for row in rows], random)
    made = around(around_these, centres.cosines, random, apart=centres.apart)
    store(kind, model, [bytes(row[0]) for row in rows], made, by="content_hash")


def store(
    kind: str, model: "EmbeddingModel", keys: Sequence[Any], vectors: Vectors, *, by: str = "id"
) -> None:
    """Gives rows vectors that count as current. `keys` are values of their column `by`: id or content_hash."""
    from apps.embeddings.kinds import tables
    from apps.embeddings.packing import PackedVectors, binary_cursor

    names, key_type = tables(kind), {"id": "bigint", "content_hash": "bytea"}[by]
    with binary_cursor() as cursor:
        for start in range(0, len(keys), BATCH):
            part = slice(start, start + BATCH)
            cursor.execute(
                f"INSERT INTO {names.embedding} ({names.key}, model_id, content_hash, vector) "
                "SELECT record.id, %(model)s, record.content_hash, made.vector "
                f"FROM unnest(%(keys)s::{key_type}[], %(vectors)b) AS made(key, vector) "
                f"JOIN {names.record} AS record ON record.{by} = made.key",
                {"model": model.pk, "keys": list(keys[part]), "vectors": PackedVectors(vectors[part])},
            )
