"""Made-up postings and candidates, as many as wanted."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from apps.sample.candidate import CandidateWriter
from apps.sample.dice import Dice
from apps.sample.posting import PostingWriter
from apps.sample.vocabulary import vocabulary

# The fields in their order; rows leave out those without a value.
POSTING_FIELDS = (
    "external_id",
    "title",
    "company",
    "description",
    "language",
    "city",
    "region",
    "country",
    "remote",
    "employment_type",
    "experience_years",
    "english_level",
    "salary_min",
    "salary_max",
    "salary_currency",
    "salary_period",
    "job_family",
    "skills",
    "published_at",
    "closes_at",
    "status",
)
CANDIDATE_FIELDS = (
    "external_id",
    "headline",
    "resume",
    "looking_for",
    "language",
    "city",
    "region",
    "country",
    "remote",
    "experience_years",
    "english_level",
    "salary_min",
    "salary_currency",
    "salary_period",
    "skills",
)

# Keys of the dice: kind and row fill the lower bits, the seed those above them, so that no two rows share one.
ROW_BITS = 60
POSTINGS, CANDIDATES = 0, 1


def postings(count: int, *, seed: int = 0, now: datetime | None = None) -> Iterator[dict[str, Any]]:
    """Yields `count` postings with the fields of a postings source; a value that is missing has no key.

    Row i depends on `seed`, `now` and i only: it is the same in every process, and a larger corpus begins with the
    smaller one. Memory does not grow with `count`. `now` (default: the beginning of today in UTC) must be aware;
    postings are up to 90 days old at that moment.
    """
    dice = Dice()
    writer = PostingWriter(vocabulary(), dice, _moment(now))
    for number in range(1, count + 1):
        dice.reseed(_key(seed, POSTINGS, number))
        yield writer.row(number)


def candidates(count: int, *, seed: int = 0, now: datetime | None = None) -> Iterator[dict[str, Any]]:
    """Yields `count` candidates with the fields of a candidates source, under the same guarantees as `postings`.

    There are no personal names or addresses in them. Careers end in the year of `now`.
    """
    dice = Dice()
    writer = CandidateWriter(vocabulary(), dice, _moment(now))
    for number in range(1, count + 1):
        dice.reseed(_key(seed, CANDIDATES, number))
        yield writer.row(number)


def _key(seed: int, kind: int, number: int) -> int:
    return (seed << ROW_BITS) | (number << 1) | kind


def _moment(now: datetime | None) -> datetime:
    if now is None:
        return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if now.tzinfo is None:
        raise ValueError(f"now must have a time zone, and {now.isoformat()} has none")
    return now
