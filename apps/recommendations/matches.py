"""Matches and their explanations, as queries return and caches store them."""

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import orjson

from apps.recommendations.ranking import Features, total


@dataclass(frozen=True)
class WeightedPart:
    """One part of a score with its normalised weight."""

    name: str
    value: float
    weight: float


@dataclass(frozen=True)
class Match:
    """A row, its score, and all values that the score was computed from. Skills are ids, ascending.

    `weights` are those of all rows of the list; `parts` holds the known values of this row.
    """

    row_id: int
    score: float
    parts: dict[str, float]
    weights: dict[str, float]
    matched_skills: list[int]
    missing_skills: list[int]
    extra_skills: list[int]

    @classmethod
    def of(
        cls,
        row_id: int,
        parts: Mapping[str, float],
        *,
        weights: dict[str, float],
        candidate: Features,
        posting: Features,
    ) -> Self:
        """The match of a row from its parts and both sides."""
        return cls(
            row_id=row_id,
            score=round(total(parts, weights), 6),
            parts={name: round(value, 6) for name, value in parts.items()},
            weights=weights,
            matched_skills=sorted(candidate.skills & posting.skills),
            missing_skills=sorted(posting.skills - candidate.skills),
            extra_skills=sorted(candidate.skills - posting.skills),
        )

    def weighted_parts(self) -> list[WeightedPart]:
        """The known parts with their weights; the score is the sum of value × weight."""
        return [WeightedPart(name, value, self.weights[name]) for name, value in self.parts.items()]


@dataclass(frozen=True)
class Retrieval:
    """How matches were retrieved, for operators.

    `strategy` of the vector search: exact, hnsw, hnsw+exact, or none without a vector. `matching` counts the
    rows that the filter leaves, up to the limit for an exact scan; None where nothing was counted. `copies`
    are postings that were left out because a better one of their group is in the list. `terms` is
    the number of distinct terms of the query, `terms_searched` of those searched for. `computed_at` is an ISO
    8601 time.
    """

    strategy: str
    matching: int | None
    ef_search: int
    by_vector: int
    by_text: int
    by_skills: int
    copies: int
    terms: int
    terms_searched: int
    text_share: float
    computed_at: str
    milliseconds: dict[str, float]


@dataclass(frozen=True)
class Matches:
    """Matches, the best first. `degraded`: no query vector was available, so full text and skills ranked
    them."""

    items: list[Match]
    degraded: bool
    retrieval: Retrieval

    @property
    def snapshot(self) -> str:
        """An identifier of this list: equal for equal matches in equal order."""
        ranked = orjson.dumps([(match.row_id, match.score) for match in self.items])
        return hashlib.blake2b(ranked, digest_size=12).hexdigest()

    def encode(self) -> bytes:
        """Compressed JSON for the second cache level, about a tenth of the plain size."""
        weights = self.items[0].weights if self.items else {}
        items = [
            {name: value for name, value in vars(each).items() if name != "weights"} for each in self.items
        ]
        stored = vars(self) | {"items": items, "weights": weights}
        return zlib.compress(orjson.dumps(stored), level=1)

    @classmethod
    def decode(cls, stored: bytes) -> Self:
        """The matches that `encode` stored."""
        value = orjson.loads(zlib.decompress(stored))
        items = [Match(**item, weights=value["weights"]) for item in value["items"]]
        return cls(items, value["degraded"], Retrieval(**value["retrieval"]))
