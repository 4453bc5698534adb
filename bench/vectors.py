"""Vectors for postings that no model embedded, and exact search over all vectors in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from apps.embeddings.models import EmbeddingModel

Vectors = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]

WRITE_BATCH = 5_000
READ_BATCH = 50_000
TOLERANCE = 1e-5  # of a cosine: a row this close to the k-th counts as good as it


@dataclass(frozen=True)
class StoredVectors:
    """All vectors of postings, and the primary key of each, ascending."""

    ids: Positions
    vectors: Vectors

    def cosines(self, queries: Vectors) -> Vectors:
        """Queries × rows: all cosines at once, since reading a million vectors costs more than multiplying
        them."""
        return queries @ self.vectors.T


def normalised(vectors: Vectors) -> Vectors:
    """The vectors at length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def of_groups(
    vectors: Vectors, groups: Sequence[str], wanted: Sequence[str], random: np.random.Generator
) -> Vectors:
    """One of `vectors` for each of `wanted`: a random one of the same group, or of any where the group has
    none."""
    groups_array, wanted_array = np.array(groups), np.array(wanted)
    chosen = random.integers(len(vectors), size=len(wanted))
    for group in np.intersect1d(groups_array, wanted_array):
        rows = np.flatnonzero(wanted_array == group)
        chosen[rows] = random.choice(np.flatnonzero(groups_array == group), size=len(rows))
    return vectors[chosen]


def around(
    centres: Vectors, cosines: tuple[float, float], random: np.random.Generator, *, samples: Vectors
) -> Vectors:
    """Turn each of `centres` (of length 1) away to a random cosine within `cosines`.

    Vectors of texts use few of all directions, so each is turned in the direction in which two of `samples`,
    which a model made, differ. In random directions no graph index finds its way.
    """
    one, other = random.integers(len(samples), size=(2, len(centres)))
    other = np.where(one == other, (other + 1) % len(samples), other)
    away = samples[one] - samples[other]
    away -= (away * centres).sum(axis=1, keepdims=True) * centres
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    cosine = random.uniform(*cosines, size=(len(centres), 1)).astype(np.float32)
    return np.asarray(cosine * centres + np.sqrt(1 - cosine**2) * away, np.float32)


def recall(
    found: Sequence[int], stored: StoredVectors, cosines: Vectors, positions: Positions, *, k: int
) -> float:
    """The share of the `k` nearest rows at `positions` that the first `k` of `found` hold; ties count as
    found.

    `cosines` are those of one query with all rows.
    """
    expected = min(k, len(positions))
    if not expected:
        return 1.0
    allowed = cosines[positions]
    nearest = stored.ids[positions[allowed >= np.partition(allowed, -expected)[-expected] - TOLERANCE]]
    return len(np.intersect1d(found[:k], nearest)) / expected


def read(model: "EmbeddingModel") -> StoredVectors:
    """Read the posting vectors of `model` as the database holds them, in half precision."""
    from apps.embeddings.packing import binary_cursor

    element = np.dtype([("dimensions", ">u2"), ("unused", ">u2"), ("values", ">f2", (model.dimensions,))])
    ids, parts = [0], [np.empty((0, model.dimensions), np.float32)]
    with binary_cursor() as cursor:
        while True:
            cursor.execute(
                "SELECT posting_id, vector FROM embeddings_postingembedding "
                "WHERE model_id = %s AND posting_id > %s ORDER BY posting_id LIMIT %s",
                [model.pk, ids[-1], READ_BATCH],
                binary=True,
            )
            rows = cursor.fetchall()
            ids += [row[0] for row in rows]
            packed = np.frombuffer(b"".join(row[1] for row in rows), element)
            parts.append(normalised(packed["values"].astype(np.float32)))
            if len(rows) < READ_BATCH:
                return StoredVectors(np.array(ids[1:], np.int64), np.concatenate(parts))


def write(model: "EmbeddingModel", ids: Sequence[Any], vectors: Vectors) -> None:
    """Give the postings `ids` these vectors, under their current content hash."""
    from apps.embeddings.packing import PackedVectors, binary_cursor

    with binary_cursor() as cursor:
        for start in range(0, len(ids), WRITE_BATCH):
            part = slice(start, start + WRITE_BATCH)
            cursor.execute(
                "INSERT INTO embeddings_postingembedding (posting_id, model_id, content_hash, vector) "
                "SELECT id, %(model)s, content_hash, vector "
                "FROM unnest(%(ids)s::bigint[], %(vectors)b) AS made(id, vector) "
                "JOIN postings_posting USING (id)",
                {"model": model.pk, "ids": list(ids[part]), "vectors": PackedVectors(vectors[part])},
            )
