"""Invented postings and candidates, in any number."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from apps.sample import korean
from apps.sample.candidate import candidate
from apps.sample.dice import Dice
from apps.sample.posting import posting
from apps.sample.vocabulary import vocabulary

# All fields in the order of columns; rows leave out those without a value.
# fmt: off
CANDIDATE_FIELDS = (
    "external_id", "headline", "resume", "looking_for", "language", "city", "region", "country", "remote",
    "experience_years", "english_level", "salary_min", "salary_currency", "salary_period", "skills",
)
POSTING_FIELDS = (
    "external_id", "title", "company", "description", "language", "city", "region", "country", "remote",
    "employment_type", "experience_years", "english_level", "salary_min", "salary_max", "salary_currency",
    "salary_period", "job_family", "skills", "published_at", "closes_at", "status",
)
# fmt: on

Row = dict[str, Any]

# Keys of the dice: kind and row number fill the lower bits and the seed those above, so that no two rows
# share a key.
ROW_BITS = 60
POSTINGS, CANDIDATES = 0, 1

# For each language: what reads the words, and what makes a posting and a candidate of them.
MAKERS: dict[str, tuple[Any, Any, Any]] = {
    "en": (vocabulary, posting, candidate),
    "ko": (korean.korean_words, korean.posting, korean.candidate),
}


def postings(
    count: int, *, seed: int = 0, now: datetime | None = None, language: str = "en"
) -> Iterator[Row]:
    """Yield `count` postings, up to 90 days old at the moment `now` (default: the beginning of today in UTC).

    A row depends on `seed`, `now`, its number and the language (a key of MAKERS) only: it is the same in
    every process, and a larger corpus begins with the smaller one. Memory does not grow with `count`. Raises
    ValueError where `now` has no time zone.
    """
    return _rows(POSTINGS, count, seed, now, language)


def candidates(
    count: int, *, seed: int = 0, now: datetime | None = None, language: str = "en"
) -> Iterator[Row]:
    """Yield `count` candidates, with the guarantees of `postings`. Careers end in the year of `now`."""
    return _rows(CANDIDATES, count, seed, now, language)


def _rows(kind: int, count: int, seed: int, now: datetime | None, language: str) -> Iterator[Row]:
    now = now or datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if now.tzinfo is None:
        raise ValueError(f"now must have a time zone, and {now.isoformat()} has none")
    read, *makers = MAKERS[language]
    words, make = read(), makers[kind]
    for number in range(1, count + 1):
        yield make(words, Dice((seed << ROW_BITS) | (number << 1) | kind), number, now)
