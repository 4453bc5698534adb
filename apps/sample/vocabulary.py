"""The word lists in words/*.toml, read once per process, and the few rules of English that they need."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

WORDS = Path(__file__).with_name("words")
SMALL_WORDS = frozenset({"and", "at", "for", "in", "of", "the", "to"})
LETTERS_SPOKEN_WITH_A_VOWEL = frozenset("AEFHILMNORSX")

Table = dict[str, Any]


@dataclass(frozen=True)
class Vocabulary:
    """All word lists, as the tables of the TOML files."""

    families: list[Table]
    sectors: dict[str, Table]
    levels: dict[str, Table]
    places: list[Table]  # a country's table with the `city`, its `region` and the `factor` of its salaries
    company_words: list[str]
    phrases: Table


@cache
def vocabulary() -> Vocabulary:
    """Read the word lists, in an order that depends on the files only."""
    families = [read_words(path.name)["family"] for path in sorted(WORDS.glob("families_*.toml"))]
    return Vocabulary(
        families=[family for group in families for family in group],
        sectors={sector["name"]: sector for sector in read_words("sectors.toml")["sector"]},
        levels=read_words("levels.toml"),
        places=[
            {**table, "country": code, "city": city, "region": region, "factor": factor}
            for code, table in read_words("countries.toml").items()
            for city, region, factor in table["cities"]
        ],
        company_words=read_words("companies.toml")["words"],
        phrases=read_words("phrases.toml"),
    )


def read_words(name: str) -> Table:
    """Read one of the files in words/."""
    return tomllib.loads((WORDS / name).read_text(encoding="utf-8"))


def with_article(noun: str) -> str:
    """Return `a data engineer`, `an HR specialist` or `a UX designer`."""
    first = noun.split(maxsplit=1)[0]
    if first.isupper():
        vowel = first[0] in LETTERS_SPOKEN_WITH_A_VOWEL
    else:
        vowel = first[0].lower() in "aeiou" and not first.startswith(("uni", "use"))
    return f"{'an' if vowel else 'a'} {noun}"


def capitalized(text: str) -> str:
    """Return `text` with a capital first letter; words written like `iOS` stay."""
    return text if text[1:2].isupper() else text[:1].upper() + text[1:]


def title_case(title: str) -> str:
    """Return `Head of HR` for `head of HR`."""
    first, *rest = title.split(" ")
    return " ".join(
        [capitalized(first), *(word if word in SMALL_WORDS else capitalized(word) for word in rest)]
    )


def enumeration(items: Sequence[str]) -> str:
    """Return `a, b and c`."""
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]]))
