"""Score how well a candidate and a posting fit. Pure functions over their features.

The score is a weighted mean of parts between 0 and 1:

    vector      cosine of the two vectors; 0 where it is negative, or the row found has no vector yet  0.42
    text        text score of the row for the query (fulltext.py)                                      0.16
    coverage    share of the posting's skills that the candidate has                                   0.16
    overlap     common skills ÷ skills of either (Jaccard index)                                       0.04
    interest    highest cosine to another posting that the candidate saved or applied for              0.06
    experience  1 where the candidate has the required years, else years ÷ required years              0.05
    english     1 at the required level, a third less for each level below                             0.03
    location    1 remote or same city, 0.7 same region, 0.4 same country, 0 elsewhere; the best of all
                places of both. A remote posting that names countries counts 0 for a candidate in
                another country. For a candidate who wants remote work, a posting on site counts half,
                and 0 where a place is unknown. Without a place, and without a wish for remote work,
                there is no such part                                                                  0.03
    salary      1 where the posting pays the expected salary, else pay ÷ expectation (one currency)    0.03
    freshness   1 on the day of publication, half after 30 days, a quarter after 60 …                  0.02

A part that one side has no value for is left out, and the other weights are scaled up to a sum of 1. The
weight of the text grows with the length of the query (fusion.text_share). An explanation holds every part
with its weight, so that the score can be computed again: it is the sum of weight × value. The ratio of the
weights of text and vector is measured (bench/fusion.py); the others are a judgement and not fitted to data:
vector and text decide, the rest orders neighbours.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from apps.records.normalizing.folding import fold
from apps.records.normalizing.gazetteer import country_code

WEIGHTS: Mapping[str, float] = {
    "vector": 0.42,
    "text": 0.16,
    "coverage": 0.16,
    "overlap": 0.04,
    "interest": 0.06,
    "experience": 0.05,
    "english": 0.03,
    "location": 0.03,
    "salary": 0.03,
    "freshness": 0.02,
}
ENGLISH_STEP = 1 / 3
FRESHNESS_HALF_LIFE = 30.0  # days


@dataclass(frozen=True)
class Place:
    """Folded names of a place, empty where unknown. `country` is an ISO 3166 code where the name has one."""

    city: str = ""
    region: str = ""
    country: str = ""


@lru_cache(maxsize=20_000)  # rows name few places, many times
def place_named(city: str, region: str, country: str) -> tuple[Place, ...]:
    """Return the place of these names, as a tuple, or () without any name."""
    if not (city.strip() or region.strip() or country.strip()):
        return ()
    return (Place(fold(city), fold(region), country_code(country) or fold(country)),)


@dataclass(frozen=True)
class Features:
    """What ranking compares of a candidate or a posting.

    `experience_years` and `english_level` are what a candidate has or a posting requires; `salary_per_year`
    is what a candidate expects or a posting pays at most. None, or an empty set, means unknown.
    """

    skills: frozenset[int] = frozenset()
    experience_years: float | None = None
    english_level: int | None = None
    places: tuple[Place, ...] = ()
    remote: bool = False
    salary_per_year: float | None = None
    salary_currency: str = ""
    published_on: date | None = None


@dataclass(frozen=True)
class Nearness:
    """Two cosines and a text score of a pair, from retrieval; each None where unknown."""

    cosine: float | None = None
    text: float | None = None
    interest: float | None = None


@dataclass(frozen=True)
class Score:
    """`parts`: the known parts by name, each between 0 and 1. `total`: their weighted mean."""

    total: float
    parts: dict[str, float]


def score(
    *, candidate: Features, posting: Features, nearness: Nearness, text_share: float, today: date
) -> Score:
    """Score a pair. `text_share` is the share of its weight that the text score has, between 0 and 1."""
    parts = {
        "vector": None if nearness.cosine is None else _clipped(nearness.cosine),
        "text": nearness.text,
        "coverage": _coverage(candidate.skills, posting.skills),
        "overlap": _overlap(candidate.skills, posting.skills),
        "interest": None if nearness.interest is None else _clipped(nearness.interest),
        "experience": _experience(candidate.experience_years, posting.experience_years),
        "english": _english(candidate.english_level, posting.english_level),
        "location": _location(candidate, posting),
        "salary": _salary(candidate, posting),
        "freshness": _freshness(posting.published_on, today),
    }
    known = {name: value for name, value in parts.items() if value is not None}
    return Score(total(known, text_share=text_share), known)


def normalised_weights(parts: Iterable[str], *, text_share: float) -> dict[str, float]:
    """The weights of the known parts, scaled to a sum of 1."""
    weights = _weights(parts, text_share=text_share)
    whole = sum(weights.values())
    return {name: weight / whole for name, weight in weights.items()}


def total(parts: Mapping[str, float], *, text_share: float) -> float:
    """The score of the parts of an explanation; 0 without parts."""
    weights = _weights(parts, text_share=text_share)
    whole = sum(weights.values()) or 1.0
    return sum(weights[name] * value for name, value in parts.items()) / whole


def _weights(parts: Iterable[str], *, text_share: float) -> dict[str, float]:
    return {name: WEIGHTS[name] * text_share if name == "text" else WEIGHTS[name] for name in parts}


def _clipped(cosine: float) -> float:
    return max(0.0, min(1.0, cosine))


def _coverage(has: frozenset[int], wanted: frozenset[int]) -> float | None:
    return len(has & wanted) / len(wanted) if wanted and has else None


def _overlap(one: frozenset[int], other: frozenset[int]) -> float | None:
    return len(one & other) / len(one | other) if one and other else None


def _experience(has: float | None, wanted: float | None) -> float | None:
    if has is None or wanted is None:
        return None
    has = max(has, 0.0)
    return 1.0 if has >= wanted else has / wanted


def _english(has: int | None, wanted: int | None) -> float | None:
    if has is None or wanted is None:
        return None
    return max(0.0, 1.0 - ENGLISH_STEP * max(0, wanted - has))


def _location(candidate: Features, posting: Features) -> float | None:
    if posting.remote:
        limits, own = _countries(posting.places), _countries(candidate.places)
        if limits and own and not limits & own:
            return 0.0
        return 1.0 if candidate.remote or candidate.places else None
    near = max(
        (_nearness_of(one, other) for one in candidate.places for other in posting.places), default=None
    )
    return (near or 0.0) / 2 if candidate.remote else near


def _countries(places: tuple[Place, ...]) -> set[str]:
    return {place.country for place in places if place.country}


def _nearness_of(one: Place, other: Place) -> float:
    """Compare country, region, city in this order, up to the first that both name and that differs."""
    nearness = 0.0
    for name, value in (("country", 0.4), ("region", 0.7), ("city", 1.0)):
        first, second = getattr(one, name), getattr(other, name)
        if first and second:
            if first != second:
                break
            nearness = value
    return nearness


def _salary(candidate: Features, posting: Features) -> float | None:
    expected, paid = candidate.salary_per_year, posting.salary_per_year
    if (
        expected is None
        or expected <= 0
        or paid is None
        or candidate.salary_currency != posting.salary_currency
    ):
        return None
    return max(0.0, min(1.0, paid / expected))


def _freshness(published_on: date | None, today: date) -> float | None:
    if published_on is None:
        return None
    # Whole days, so that a query has the same answer all day.
    days = max(0, (today - published_on).days)
    return float(0.5 ** (days / FRESHNESS_HALF_LIFE))
