"""Score how well a candidate and a posting fit. Pure functions over their features.

A score is the sum of value × weight over parts whose values lie between 0 and 1:

    vector       cosine of the two vectors; 0 where it is negative, or the row found has no vector yet
    text         text score of the row's whole text for the query (fulltext.py)
    title        text score of its title
    coverage     share of the posting's skills that the candidate has
    overlap      common skills ÷ skills of either
    interest     highest cosine to another posting that the candidate saved or applied for
    experience   1 where the candidate has the required years, else years ÷ required years
    english      1 at the required level, a third less for each level below
    location     1 remote or same city, 0.7 same region, 0.4 same country, 0 elsewhere; the best of all
                 places of both. A remote posting that names countries counts 0 for a candidate in
                 another country. For a candidate who wants remote work, a posting on site counts half,
                 and 0 where a place is unknown. Without a place, and without a wish for remote work,
                 there is no such part
    salary       1 where the posting pays the expected salary, else pay ÷ expectation (one currency)
    freshness    1 on the day of publication, half after one half-life, a quarter after two …
    same_title   1 where the search is the title itself
    named        1 where the search names the row's company or city, 0.7 its region, 0.4 its country; the
                 share of the skills that the search consists of
    own_company  1 for a posting of the site's own companies
    sponsored    1 for a sponsored posting

In `coverage` and `overlap` a skill counts by its rarity, and more where it stands in the posting's title or
its source lists it.

What is unknown counts 0: a row does not win because nothing is known of it. The weights of a list are those
of the parts that any of its rows has, scaled to a sum of 1, so that they are the same for all its rows. The
weights of full text grow with the length of the query. A match holds its values and weights, so that the
score can be computed again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from apps.recommendations.weights import PARTS, TEXT_PARTS, Ranking
from apps.records.normalizing.folding import fold
from apps.records.normalizing.gazetteer import country_code

ENGLISH_STEP = 1 / 3


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
    `title_skills` and `stated_skills` are those of a posting's `skills` that stand in its title or that its
    source lists.
    """

    skills: frozenset[int] = frozenset()
    title_skills: frozenset[int] = frozenset()
    stated_skills: frozenset[int] = frozenset()
    experience_years: float | None = None
    english_level: int | None = None
    places: tuple[Place, ...] = ()
    remote: bool = False
    salary_per_year: float | None = None
    salary_currency: str = ""
    published_on: date | None = None
    own_company: bool = False
    sponsored: bool = False


@dataclass(frozen=True)
class Nearness:
    """How near a row is to a seeker, from retrieval: two cosines, two text scores, and what a search names.

    Each is None where unknown.
    """

    cosine: float | None = None
    text: float | None = None
    title: float | None = None
    interest: float | None = None
    same_title: float | None = None
    named: float | None = None


@dataclass(frozen=True)
class Rarity:
    """The rarity of each skill, and that of skills too rare to be counted."""

    of_skill: Mapping[int, float]
    rarest: float = 1.0

    def __call__(self, skill_id: int) -> float:
        """The rarity of a skill, above 0."""
        return self.of_skill.get(skill_id, self.rarest)


def parts_of(
    *,
    candidate: Features,
    posting: Features,
    nearness: Nearness,
    rarity: Rarity,
    ranking: Ranking,
    today: date,
) -> dict[str, float]:
    """The known parts of a pair, each between 0 and 1. Parts that have no weight are left out."""
    coverage, overlap = _skills(candidate, posting, rarity, ranking)
    parts = {
        "vector": None if nearness.cosine is None else _clipped(nearness.cosine),
        "text": nearness.text,
        "title": nearness.title,
        "coverage": coverage,
        "overlap": overlap,
        "interest": None if nearness.interest is None else _clipped(nearness.interest),
        "experience": _experience(candidate.experience_years, posting.experience_years),
        "english": _english(candidate.english_level, posting.english_level),
        "location": _location(candidate, posting),
        "salary": _salary(candidate, posting),
        "freshness": _freshness(posting.published_on, today, ranking.freshness_half_life),
        "same_title": nearness.same_title,
        "named": nearness.named,
        "own_company": 1.0 if posting.own_company else None,
        "sponsored": 1.0 if posting.sponsored else None,
    }
    return {name: value for name, value in parts.items() if value is not None and ranking.weights[name]}


def list_weights(ranking: Ranking, rows: Iterable[Mapping[str, float]], *, share: float) -> dict[str, float]:
    """The weights of a list whose rows have these parts, scaled to a sum of 1.

    `share` is the share of their weight that text scores have, between 0 and 1.
    """
    known = set[str]().union(*rows)
    weights = {
        name: ranking.weights[name] * (share if name in TEXT_PARTS else 1.0)
        for name in PARTS
        if name in known
    }
    whole = sum(weights.values()) or 1.0
    return {name: weight / whole for name, weight in weights.items()}


def total(parts: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """The score of a row."""
    return sum(weights[name] * value for name, value in parts.items())


def _clipped(cosine: float) -> float:
    return max(0.0, min(1.0, cosine))


def _skills(
    candidate: Features, posting: Features, rarity: Rarity, ranking: Ranking
) -> tuple[float | None, float | None]:
    """Coverage and overlap; None where either side has no known skill."""
    if not candidate.skills or not posting.skills:
        return None, None
    wanted = sum(_skill_weight(each, posting, rarity, ranking) for each in posting.skills)
    common = sum(_skill_weight(each, posting, rarity, ranking) for each in posting.skills & candidate.skills)
    extra = sum(rarity(each) for each in candidate.skills - posting.skills)
    return common / wanted, common / (wanted + extra)


def _skill_weight(skill_id: int, posting: Features, rarity: Rarity, ranking: Ranking) -> float:
    in_title = ranking.title_skill if skill_id in posting.title_skills else 1.0
    stated = ranking.stated_skill if skill_id in posting.stated_skills else 1.0
    return rarity(skill_id) * max(in_title, stated)


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


def _freshness(published_on: date | None, today: date, half_life: float) -> float | None:
    if published_on is None:
        return None
    # Whole days, so that a query has the same answer all day.
    days = max(0, (today - published_on).days)
    return float(0.5 ** (days / half_life))
