"""A match and its explanation, as queries return them."""

import hashlib
import zlib
from collections.abc import Container
from dataclasses import dataclass, replace
from typing import Self

import orjson

from apps.recommendations.ranking import Features, Score, normalised_weights


@dataclass(frozen=True)
class WeightedPart:
    """One part of a score and its share in it."""

    name: str
    value: float
    weight: float


@dataclass(frozen=True)
class Match:
    """A row, its score, and all that the score was computed from. Skills are ids, in ascending order."""

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
        """The parts with their shares; the score is the sum of value × weight."""
        weights = normalised_weights(self.parts, text_share=self.text_share)
        return [WeightedPart(name, value, weights[name]) for name, value in self.parts.items()]


@dataclass(frozen=True)
class Retrieval:
    """How matches were retrieved, for those who run the service.

    `strategy` of the vector search: exact, hnsw, hnsw+exact, or none where there was no vector. `matching` counts the
    rows that the filter leaves, no further than the choice needed, None where nothing had to be counted. `words` are the
    different words of the query, of which `words_searched` were looked up. Times are in milliseconds.
    """

    strategy: str
    matching: int | None
    ef_search: int
    by_vector: int
    by_text: int
    by_skills: int
    words: int
    words_searched: int
    text_share: float
    computed_at: str
    milliseconds: dict[str, float]


@dataclass(frozen=True)
class Matches:
    """The best first. `degraded`: a part behind was gone, and something simpler answered."""

    items: list[Match]
    degraded: bool
    retrieval: Retrieval

    @property
    def snapshot(self) -> str:
        """Names this very list: equal for equal matches in equal order."""
        ranked = orjson.dumps([(match.row_id, match.score) for match in self.items])
        return hashlib.blake2b(ranked, digest_size=12).hexdigest()

    def only(self, row_ids: Container[int]) -> Self:
        """Those of the matches whose row is in `row_ids`."""
        return replace(self, items=[match for match in self.items if match.row_id in row_ids])

    def encode(self) -> bytes:
        """As the second cache level holds them: in a tenth of the room."""
        return zlib.compress(orjson.dumps(self), level=1)

    @classmethod
    def decode(cls, stored: bytes) -> Self:
        value = orjson.loads(zlib.decompress(stored))
        return cls(
            [Match(**item) for item in value["items"]], value["degraded"], Retrieval(**value["retrieval"])
        )
