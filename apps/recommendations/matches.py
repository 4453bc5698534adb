"""Matches and their explanations, as queries return and caches store them."""

import hashlib
import zlib
from collections.abc import Container
from dataclasses import dataclass, replace
from typing import Self

import orjson

from apps.recommendations.ranking import Features, Score, normalised_weights


@dataclass(frozen=True)
class WeightedPart:
    """One part of a score with its normalised weight."""

    name: str
    value: float
    weight: float


@dataclass(frozen=True)
class Match:
    """A row, its score, and all values that the score was computed from. Skills are ids, ascending."""

    row_id: int
    score: float
    parts: dict[str, float]
    text_share: float
    matched_skills: list[int]
    missing_skills: list[int]
    extra_skills: list[int]

    @classmethod
    def of(
        cls, row_id: int, result: Score, *, candidate: Features, posting: Features, text_share: float
    ) -> Self:
        """The match of a row from its score and both sides."""
        return cls(
            row_id=row_id,
            score=round(result.total, 6),
            parts={name: round(value, 6) for name, value in result.parts.items()},
            text_share=text_share,
            matched_skills=sorted(candidate.skills & posting.skills),
            missing_skills=sorted(posting.skills - candidate.skills),
            extra_skills=sorted(candidate.skills - posting.skills),
        )

    def weighted_parts(self) -> list[WeightedPart]:
        """The parts with their weights; the score is the sum of value × weight."""
        weights = normalised_weights(self.parts, text_share=self.text_share)
        return [WeightedPart(name, value, weights[name]) for name, value in self.parts.items()]


@dataclass(frozen=True)
class Retrieval:
    """How matches were retrieved, for operators.

    `strategy` of the vector search: exact, hnsw, hnsw+exact, or none without a vector. `matching` counts the
    rows that the filter leaves, up to the limit for an exact scan; None where nothing was counted. `terms` is
    the number of distinct terms of the query, `terms_searched` of those searched for. `computed_at` is an ISO
    8601 time.
    """

    strategy: str
    matching: int | None
    ef_search: int
    by_vector: int
    by_text: int
    by_skills: int
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

    def only(self, row_ids: Container[int]) -> Self:
        """Only the matches whose row is in `row_ids`."""
        return replace(self, items=[match for match in self.items if match.row_id in row_ids])

    def encode(self) -> bytes:
        """Compressed JSON for the second cache level, about a tenth of the plain size."""
        return zlib.compress(orjson.dumps(self), level=1)

    @classmethod
    def decode(cls, stored: bytes) -> Self:
        """The matches that `encode` stored."""
        value = orjson.loads(zlib.decompress(stored))
        return cls(
            [Match(**item) for item in value["items"]], value["degraded"], Retrieval(**value["retrieval"])
        )
