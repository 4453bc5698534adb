"""A match and its explanation, as queries return them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

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
    matched_skills: list[int]
    missing_skills: list[int]
    extra_skills: list[int]

    @classmethod
    def of(cls, row_id: int, result: Score, *, candidate: Features, posting: Features) -> Self:
        return cls(
            row_id=row_id,
            score=round(result.total, 6),
            parts={name: round(value, 6) for name, value in result.parts.items()},
            matched_skills=sorted(candidate.skills & posting.skills),
            missing_skills=sorted(posting.skills - candidate.skills),
            extra_skills=sorted(candidate.skills - posting.skills),
        )

    def weighted_parts(self) -> list[WeightedPart]:
        """The parts with their shares; the score is the sum of value × weight."""
        weights = normalised_weights(self.parts)
        return [WeightedPart(name, value, weights[name]) for name, value in self.parts.items()]


@dataclass(frozen=True)
class Matches:
    """The best first. `degraded`: a part behind was gone, and something simpler answered. `strategy`: how it was
    retrieved. Serialisable, so that the cache can hold it.
    """

    items: list[Match]
    degraded: bool
    strategy: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        return cls([Match(**item) for item in value["items"]], value["degraded"], value["strategy"])
