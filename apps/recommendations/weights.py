"""Weights and shapes of a ranking: a versioned JSON file. Pure: reads no settings.

The shipped file is weights.json next to this module. `fitted` names the parts whose weights were fitted to
known pairs, and where; the weights of all other parts are a judgement.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

SHIPPED = Path(__file__).with_name("weights.json")
# In the order in which an explanation lists them; ranking.py says what each is.
PARTS = (
    "vector",
    "text",
    "title",
    "coverage",
    "overlap",
    "interest",
    "experience",
    "english",
    "location",
    "salary",
    "freshness",
    "same_title",
    "named",
    "own_company",
    "sponsored",
)
TEXT_PARTS = ("text", "title")  # their weights grow with the length of the query

Weight = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Factor = Annotated[float, Field(ge=1, le=100)]


class RankingFileError(ValueError):
    """A file of weights cannot be used; the message names the file and the fault."""


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TextShare(_Plain):
    """How the weight of full text grows with the number of distinct terms of a query.

    Up to `short_query` terms it has the share `minimum`, from `long_query` on all of it, linear between.
    """

    short_query: int = Field(ge=0)
    long_query: int = Field(ge=1)
    minimum: float = Field(ge=0, le=1)

    def of(self, terms: int) -> float:
        """The share of its weight that full text has in a query of so many distinct terms."""
        span = max(1, self.long_query - self.short_query)
        return self.minimum + (1 - self.minimum) * min(1.0, max(0.0, (terms - self.short_query) / span))


class Ranking(_Plain):
    """All that a score depends on other than the two sides.

    `title_skill` and `stated_skill` multiply the rarity of a posting's skill that stands in its title, or
    that its source lists. `freshness_half_life` is in days. At most `company_cap` postings of one company are
    among the first `capped_places`; 0 is no cap.
    """

    version: str
    weights: dict[str, Weight]
    text_share: TextShare
    title_skill: Factor
    stated_skill: Factor
    freshness_half_life: float = Field(gt=0)
    company_cap: int = Field(default=0, ge=0)
    capped_places: int = Field(default=10, ge=1)
    fitted: dict[str, Any] = Field(default_factory=dict)

    @field_validator("weights")
    @classmethod
    def _every_part(cls, weights: dict[str, float]) -> dict[str, float]:
        if unknown := weights.keys() - set(PARTS):
            raise ValueError(f"unknown parts {', '.join(sorted(unknown))}")
        if not any(weights.values()):
            raise ValueError("every weight is 0")
        return {name: weights.get(name, 0.0) for name in PARTS}

    def with_weights(self, **weights: float) -> "Ranking":
        """The same ranking with some weights replaced."""
        return self.model_copy(update={"weights": self.weights | weights})

    @property
    def fingerprint(self) -> str:
        """A hash of everything that changes a score or an order."""
        content = self.model_dump_json(exclude={"version", "fitted"})
        return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()


@cache  # a change of the file counts from the next start of the process
def read_ranking(path: Path) -> Ranking:
    """Read a file of weights. Raises RankingFileError."""
    try:
        return Ranking.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RankingFileError(f"Cannot read the weights {path}: {error.strerror}.") from error
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_url=False)
        )
        raise RankingFileError(f"The weights {path} are invalid: {faults}.") from error
