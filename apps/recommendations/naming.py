"""What a typed search names: a title, a place, a company, skills. Pure functions over folded words."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Self

from apps.recommendations.ranking import Features, Place
from apps.records.normalizing.folding import fold
from apps.records.normalizing.gazetteer import country_codes

MAX_CHARACTERS = 120  # a longer text describes a person; the places in it are no wish
MAX_COUNTRY_WORDS = 4
MIN_COUNTRY_NAME = 3  # characters: shorter codes (in, no, it) are words too
CITY, REGION, COUNTRY = 1.0, 0.7, 0.4

_SEPARATORS = re.compile(r"[^\w+#&]+")


@lru_cache(maxsize=20_000)  # rows have few titles, companies and places, many times
def folded_words(text: str) -> str:
    """The words of a text, folded, each between spaces; "" without any."""
    words = _SEPARATORS.sub(" ", fold(text)).strip()
    return f" {words} " if words else ""


@dataclass(frozen=True)
class SearchNames:
    """The folded words of a short search, the ISO 3166 codes of the countries that it names, and its skills.

    Its skills are those that it consists of: "Go", or "Go, Python".
    """

    words: str = ""
    countries: frozenset[str] = field(default_factory=frozenset)
    skills: frozenset[int] = field(default_factory=frozenset)

    @classmethod
    def of(cls, text: str, resolve: Callable[[str], int | None]) -> Self:
        """The names in a typed text; none in a long one. `resolve` returns the skill that a name means."""
        if len(text) > MAX_CHARACTERS:
            return cls()
        words = folded_words(text)
        skills = (resolve(item) for item in text.split(","))
        return cls(words, _countries(words.split()), frozenset(each for each in skills if each is not None))

    def same_title(self, title: str) -> bool:
        """Whether the search is this title, whatever its case, accents and punctuation."""
        return bool(self.words) and self.words == folded_words(title)

    def named(self, features: Features, company: str) -> float | None:
        """How exactly the search names a row: by its company or city, its region or country, or the share of
        the search's skills that it has; None where it does not.

        `company` is the folded name, without legal form.
        """
        if not self.words:
            return None
        values = [self._of_place(place) for place in features.places]
        values.append(CITY if self._has(company) else 0.0)
        values.append(len(self.skills & features.skills) / max(1, len(self.skills)))
        return max(values) or None

    def _of_place(self, place: Place) -> float:
        if self._has(place.city):
            return CITY
        if self._has(place.region):
            return REGION
        return COUNTRY if place.country in self.countries else 0.0

    def _has(self, name: str) -> bool:
        words = folded_words(name)
        return bool(words) and words in self.words


NO_NAMES = SearchNames()


def _countries(words: list[str]) -> frozenset[str]:
    codes = country_codes()
    names = (
        " ".join(words[start:stop])
        for start in range(len(words))
        for stop in range(start + 1, min(start + MAX_COUNTRY_WORDS, len(words)) + 1)
    )
    return frozenset(codes[name] for name in names if len(name) >= MIN_COUNTRY_NAME and name in codes)
