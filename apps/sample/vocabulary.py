"""The word lists in words/*.toml as objects, read once for each process."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from apps.sample.wording import capitalized, title_case, with_article

WORDS = Path(__file__).with_name("words")
ENGLISH_LEVELS = ("none", "basic", "pre_intermediate", "intermediate", "upper_intermediate", "fluent")

Lines = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Title:
    """A job title in the three forms that texts need."""

    heading: str  # Head of Data Engineering
    sentence_start: str  # Head of data engineering
    with_article: str  # a head of data engineering


@dataclass(frozen=True, slots=True)
class Level:
    """A step of seniority with the years and the part of the salary band that belong to it."""

    name: str
    required: tuple[int, int]
    served: tuple[int, int]
    pay: tuple[float, float]
    duties: Lines
    experience: Lines


@dataclass(frozen=True, slots=True)
class Sector:
    name: str
    companies: Lines
    intros: Lines
    employers: Lines


@dataclass(frozen=True, slots=True)
class Place:
    city: str
    region: str
    country: str
    country_name: str
    currency: str
    usd_rate: float  # local money for one US dollar, at the city's salary level
    period: str
    hourly: bool
    english_at_work: bool


@dataclass(frozen=True, slots=True)
class Family:
    """Everything that postings and candidates of one line of work have in common."""

    name: str
    a_role: str
    sectors: tuple[Sector, ...]
    titles: dict[str, tuple[Title, ...]]
    posting_levels: tuple[Level, ...]  # each as often as its share says
    employment: Lines  # likewise
    salary: tuple[float, float]  # US dollars a year, from the first job to the highest
    remote: float
    english: int  # usual level, an index into ENGLISH_LEVELS
    core: Lines
    optional: Lines
    team: Lines
    duties: Lines
    requirements: Lines
    achievements: Lines
    milestones: Lines  # achievements that take years of experience
    first_steps: Lines
    about: Lines
    wishes: Lines
    education: Lines
    benefits: Lines


@dataclass(frozen=True, slots=True)
class Vocabulary:
    families: tuple[Family, ...]
    levels: dict[str, Level]
    places: tuple[Place, ...]
    company_words: Lines
    posting: dict[str, Any]  # words/posting_phrases.toml
    candidate: dict[str, Any]  # words/candidate_phrases.toml
    in_sentence: dict[str, str]  # a skill's name -> how a sentence names it, so that it can be found there


@cache
def vocabulary() -> Vocabulary:
    """All word lists, in an order that depends on the files only."""
    sectors = {table["name"]: _sector(table) for table in _tables("sectors_*.toml", "sector")}
    shares = _read("seniority.toml")
    levels = {name: _level(name, table) for name, table in shares.items()}
    posting = _read("posting_phrases.toml")
    by_share = [level for level in levels.values() for _ in range(shares[level.name]["share"])]
    families = tuple(
        _family(table, sectors, by_share, posting["benefits"])
        for table in _tables("families_*.toml", "family")
    )
    return Vocabulary(
        families=families,
        levels=levels,
        places=tuple(
            place for code, table in _read("countries.toml").items() for place in _places(code, table)
        ),
        company_words=tuple(_read("companies.toml")["words"]),
        posting=posting,
        candidate=_read("candidate_phrases.toml"),
        in_sentence=_in_sentence(families),
    )


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((WORDS / name).read_text(encoding="utf-8"))


def _tables(pattern: str, key: str) -> list[dict[str, Any]]:
    return [table for path in sorted(WORDS.glob(pattern)) for table in _read(path.name)[key]]


def _sector(table: dict[str, Any]) -> Sector:
    return Sector(table["name"], tuple(table["companies"]), tuple(table["intros"]), tuple(table["employers"]))


def _level(name: str, table: dict[str, Any]) -> Level:
    return Level(
        name=name,
        required=(table["required"][0], table["required"][1]),
        served=(table["served"][0], table["served"][1]),
        pay=(table["pay"][0], table["pay"][1]),
        duties=tuple(table["duties"]),
        experience=tuple(table["experience"]),
    )


def _family(
    table: dict[str, Any], sectors: dict[str, Sector], levels: list[Level], benefits: dict[str, list[str]]
) -> Family:
    titles = {level: tuple(_title(title) for title in names) for level, names in table["titles"].items()}
    lines = (
        "core",
        "optional",
        "team",
        "duties",
        "requirements",
        "achievements",
        "milestones",
        "first_steps",
        "about",
        "wishes",
    )
    return Family(
        name=table["name"],
        a_role=with_article(table["role"]),
        sectors=tuple(sectors[name] for name in table["sectors"]),
        titles=titles,
        posting_levels=tuple(level for level in levels if level.name in titles),
        employment=tuple(kind for kind, share in table["employment"].items() for _ in range(share)),
        salary=(table["salary"][0], table["salary"][1]),
        remote=table["remote"],
        english=ENGLISH_LEVELS.index(table["english"]),
        education=tuple(table["education"]),
        benefits=(*benefits["all"], *benefits[table["workplace"]]),
        **{key: tuple(table[key]) for key in lines},
    )


def _title(text: str) -> Title:
    return Title(title_case(text), capitalized(text), with_article(text))


def _places(code: str, table: dict[str, Any]) -> list[Place]:
    return [
        Place(
            city=city["name"],
            region=city["region"],
            country=code,
            country_name=table["name"],
            currency=table["currency"],
            usd_rate=table["per_usd"] * city["factor"],
            period=table["period"],
            hourly=table["hourly"],
            english_at_work=table["english_at_work"],
        )
        for city in table["cities"]
    ]


def _in_sentence(families: tuple[Family, ...]) -> dict[str, str]:
    table = _read("skills.toml")
    names = {name for family in families for name in (*family.core, *family.optional)}
    return {
        name: table["in_sentence"].get(name)
        or (name if name in table["keep_capital"] else _uncapitalized(name))
        for name in sorted(names)
    }


def _uncapitalized(name: str) -> str:
    return name if name[1:] != name[1:].lower() else name.lower()
