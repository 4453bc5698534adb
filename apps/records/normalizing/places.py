"""Read places: "Berlin, Germany", "San Francisco, CA; London, UK", "Remote (US)", "서울 강남구"."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from apps.records.normalizing.folding import fold
from apps.records.normalizing.gazetteer import (
    GROUPS,
    cities_named,
    city,
    countries_with_region,
    country_code,
    is_named_after_city,
    us_states,
)
from apps.records.normalizing.unknown import is_unknown

MAX_PLACES = 50  # of one posting
MAX_NAME = 120  # characters of a city, region or country

_BETWEEN_PLACES = re.compile(r"\s*[;|\n•·]\s*|\s+/\s+|\s+or\s+|\s+oder\s+|\s+및\s+")
_REMOTE_WORDS = (
    r"fully remote|100% remote|remote[ -]first|remote|home[ -]?office|telework|work from home"
    r"|work from anywhere|wfh|telecommute|재택(?:근무)?|원격(?:근무)?|リモート|在宅"
)
_REMOTE = re.compile(rf"(?<![^\W\d_])(?:{_REMOTE_WORDS})(?![^\W\d_])")
_AROUND_REMOTE = re.compile(
    rf"[\s(\[,\-–—:/]*(?<![^\W\d_])(?:{_REMOTE_WORDS})"
    r"(?:\s+(?:only|ok|possible|möglich|within|in|from|optional))?[\s)\],\-–—:/]*",
    re.IGNORECASE,
)
_HYBRID = re.compile(
    r"[\s(\[,\-–—:/]*(?<![^\W\d_])(?:hybrid|on[ -]?site|in[ -]office|vor ort)(?![^\W\d_])[\s)\],\-–—:/]*",
    re.IGNORECASE,
)
_ZIP = re.compile(
    r"\b(?:(?:DE?|AT?|CH|FR?|IT?|NL)-)?\d{4,6}(?:-\d{4})?\b|\b[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}\b"
)
# Words around a place: "US only", "Anywhere in the US", "Berlin +2 more".
_AROUND_PLACE = re.compile(
    r"^(?:anywhere (?:in|within)|within|across|all of)\s+(?:the\s+)?|[\s-]+(?:only|wide)$"
    r"|\s*\+\s*\d+\s+(?:more|others?).*$",
    re.IGNORECASE,
)
_AND = re.compile(r"\s+(?:&|and|und|et|y)\s+|/")
_COMMA = re.compile(r"\s*[,，]\s*|\s+[-–—]\s+|\s*[()]\s*")
_SUBDIVISION = re.compile(r"([A-Z]{2})-[A-Z0-9]{1,3}")  # ISO 3166-2, such as DE-BE
_LARGE = 100_000  # inhabitants of a city that is known by its name alone
# Codes of both a state and a country: a place that no gazetteer knows is rather in the country.
_RATHER_COUNTRIES = frozenset({"de", "in"})
# Inhabitants of a city that "Washington, USA" means rather than the state of that name.
_LARGER_THAN_A_STATE = 500_000
_NO_PLACES = {
    "metro area", "area", "metropolitan area", "multiple locations", "various locations", "various",
    "several locations", "locations", "negotiable", "nationwide", "bundesweit", "전국",
}  # fmt: skip
# First-level names of Korean addresses, which are written from the largest to the smallest, with spaces.
_KOREAN = {
    "서울": "서울", "서울시": "서울", "서울특별시": "서울", "부산": "부산", "부산광역시": "부산",
    "대구": "대구", "대구광역시": "대구", "인천": "인천", "인천광역시": "인천", "광주": "광주",
    "광주광역시": "광주", "대전": "대전", "대전광역시": "대전", "울산": "울산", "울산광역시": "울산",
    "세종": "세종", "세종특별자치시": "세종",
}  # fmt: skip
_KOREAN_PROVINCES = (
    "경기", "강원", "충북", "충남", "전북", "전남", "경북", "경남", "제주", "충청", "전라", "경상",
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Where a job is. `country` is an ISO 3166 alpha-2 code, or an unknown name as it was written."""

    city: str = ""
    region: str = ""
    country: str = ""

    def __bool__(self) -> bool:
        return bool(self.city or self.region or self.country)


@dataclass(frozen=True)
class Places:
    """The places of one row. Of a `remote` job they say where applicants may live; None: unknown."""

    places: tuple[Place, ...] = ()
    remote: bool | None = None
    hybrid: bool = field(default=False, compare=False)


def parse_places(value: object) -> Places:
    """Read a text, a list of cells, or an object with the keys of feeds (city, addressLocality, name …)."""
    return _of_text(value) if isinstance(value, str) else _parse(value)


@lru_cache(maxsize=20_000)  # a feed names few places, many times
def _of_text(text: str) -> Places:
    return _parse(text)


def _parse(value: object) -> Places:
    places: list[Place] = []
    remote: bool | None = None
    hybrid = False
    for cell in _cells(value):
        if isinstance(cell, Mapping):
            place = _of_mapping(cell)
            remote = True if _is_remote(cell) else remote
            if place and place not in places:
                places.append(place)
            continue
        for part in _BETWEEN_PLACES.split(cell):
            text, is_remote, is_hybrid = _without_mode(part)
            remote = True if is_remote else remote
            hybrid = hybrid or is_hybrid
            if is_unknown(text):
                continue
            for each in _several(text):
                place = _place(each, remote=is_remote)
                if place and place not in places:
                    places.append(place)
    return Places(tuple(places[:MAX_PLACES]), remote, hybrid)


def _cells(value: object) -> Iterable[str | Mapping[str, Any]]:
    if isinstance(value, Mapping):
        for key in ("locations", "offices", "places", "jobLocation"):
            if isinstance(value.get(key), list):
                yield from _cells(value[key])
                return
        name = value.get("name")
        if isinstance(name, str) and _BETWEEN_PLACES.search(name) and not value.keys() & _PARTS:
            yield {key: each for key, each in value.items() if isinstance(each, bool)}
            yield name  # several places in one name
            return
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _cells(each)
    elif isinstance(value, str):
        yield value


_KEYS = {
    "city": ("city", "addressLocality", "locality", "town", "CityName", "Municipality"),
    "region": ("region", "state", "addressRegion", "stateCode", "province", "Region"),
    "country": ("countryCode", "country_code", "country", "addressCountry", "CountryCode", "Country"),
}


_PARTS = {key for keys in _KEYS.values() for key in keys} | {"address", "location"}


def _of_mapping(cell: Mapping[str, Any]) -> Place:
    """An object of a feed: of schema.org, of a job board's API, or `{"name": "Berlin"}`."""
    for key in ("address", "location"):
        if isinstance(cell.get(key), Mapping):
            return _of_mapping(cell[key])
    parts = {}
    for name, keys in _KEYS.items():
        found = next((cell[key] for key in keys if not is_unknown(cell.get(key))), "")
        if isinstance(found, Mapping):
            found = next((found[key] for key in ("name", "code", "Code", "Label") if found.get(key)), "")
        found = found[0] if isinstance(found, list) else found
        parts[name] = _bounded(str(found))
    if any(parts.values()):
        return _normal(parts["city"], parts["region"], parts["country"])
    for key in ("name", "label", "displayName", "location", "address", "locationName"):
        if isinstance(cell.get(key), str) and not is_unknown(cell[key]):
            text, is_remote, _ = _without_mode(cell[key])
            return _place(text, remote=is_remote) if not is_unknown(text) else Place()
    return Place()


def normal_place(place: Place) -> Place:
    """Return a stored place as imports write it now: countries as codes, no region or country as a city."""
    if place.city and not place.region and not place.country:
        return _place(place.city, remote=False) or place
    return _normal(place.city, place.region, place.country) or place


def _is_remote(cell: Mapping[str, Any]) -> bool:
    name = cell.get("name")
    return any(cell.get(key) is True for key in ("remote", "isRemote", "telecommuting")) or (
        isinstance(name, str) and _without_mode(name)[1]
    )


def _without_mode(text: str) -> tuple[str, bool, bool]:
    """Take "Remote" and "Hybrid" out of a place: (the place, is it remote, is it hybrid)."""
    text = " ".join(text.split())
    is_remote = _REMOTE.search(fold(text)) is not None
    is_hybrid = _HYBRID.search(text) is not None
    if is_remote:
        text = _AROUND_REMOTE.sub(", ", text)
    if is_hybrid:
        text = _HYBRID.sub(", ", text)
    return text.strip(" ,-–—()[]:/"), is_remote, is_hybrid


def _several(text: str) -> list[str]:
    """Part a list of places whose signs may also stand within one place; [text] where it is one place."""
    text = _AROUND_PLACE.sub("", text)
    parts = [part for part in _parts(text) if part]
    countries = [_country_or_group(part) for part in parts]
    if len(parts) > 1 and all(countries) and len(set(countries)) > 1 and not _is_one_place(parts):
        return parts  # "Germany, Austria, Switzerland"
    if len(parts) > 2 and countries[0] == "US" and all(part.casefold() in us_states() for part in parts[1:]):
        return [f"{state}, US" for state in parts[1:]]  # "USA (CA, NY, TX)"
    if len(parts) > 2 and len(set(parts)) == len(parts) and all(map(_is_large_city, parts)):
        return parts  # "Berlin, Hamburg, Munich"
    pieces = _AND.split(text)
    is_one = len(pieces) == 1 or countries_with_region(text) or country_code(text)
    if not is_one and all(_country_or_group(piece) or cities_named(piece) for piece in pieces):
        return pieces
    return [text]


def _country_or_group(text: str) -> str:
    code = country_code(text) if len(text) > 3 or text.isupper() else ""
    return code or (fold(text) if fold(text) in GROUPS else "")


def _is_one_place(parts: list[str]) -> bool:
    """Whether two names of countries are one place, as in "Georgia, US" and "Hong Kong, China"."""
    first, last = parts[0], country_code(parts[-1])
    return len(parts) == 2 and (
        fold(first) in us_states() or fold(parts[1]) in us_states() or city(first, country=last) is not None
    )


def _is_large_city(text: str) -> bool:
    known = cities_named(text)
    return bool(known) and known[0].population >= _LARGE and not _country_or_group(text)


def _parts(text: str) -> list[str]:
    """The parts of a place between commas, without postal codes, coordinates and words for "unknown"."""
    parts = (part.strip(" ()[]") for part in _COMMA.split(text) if any(map(str.isalpha, part)))
    parts = (_ZIP.sub("", part).strip() for part in parts)
    return [part for part in parts if part and not is_unknown(part) and not _is_no_place(part)]


def _is_no_place(part: str) -> bool:
    return (
        fold(part) in _NO_PLACES
        or re.fullmatch(r"\+?\d+ (?:more|others?|locations?)", fold(part)) is not None
    )


def _place(text: str, *, remote: bool) -> Place:
    if place := _korean(text):
        return place
    parts = [_country_of_subdivision(part) for part in _parts(text)]
    if len(parts) == 1:
        parts = _with_state(parts[0])
    if not parts:
        return Place()
    if len(parts) == 1:
        return _single(parts[0], remote=remote)
    if len(parts) > 3:
        parts = [", ".join(parts[:-2]), *parts[-2:]]
    if len(parts) == 3:
        return _normal(*parts)
    return _pair(*parts)


def _country_of_subdivision(part: str) -> str:
    """ "DE" of "DE-BE", other parts as they are."""
    coded = _SUBDIVISION.fullmatch(part)
    return coded[1] if coded and country_code(coded[1]) else part


def _with_state(part: str) -> list[str]:
    """ "Austin" and "TX" of "Austin TX"."""
    name, _, state = part.rpartition(" ")
    known = state.isupper() and state.casefold() in us_states() and city(name, country="US", region=state)
    return [name, state] if known else [part]


def _single(text: str, *, remote: bool) -> Place:
    folded = fold(text)
    if folded in GROUPS:
        return Place(region=GROUPS[folded])
    code = country_code(text)
    # Two letters are a country only in capitals: "in", "it" and "no" are words.
    if code and (len(text) > 3 or text.isupper()) and not (city(text) and _is_larger_than_a_country(text)):
        return Place(country=code)
    state = us_states().get(folded, "")
    if state and (len(text) > 2 or remote) and not city(text):
        return Place(region=state, country="US")
    countries = countries_with_region(text)
    if (
        len(countries) == 1
        and len(text) > 2
        and not cities_named(text)
        and not is_named_after_city(text, min(countries))
    ):
        return Place(region=_bounded(text), country=min(countries))
    return Place(city=_bounded(text))


def _is_region(name: str, country: str) -> bool:
    """Whether `name` is a region of the country (alpha-2), and no city there that people would mean."""
    if country == "US":
        found = city(name, country="US")
        return fold(name) in us_states() and (found is None or found.population < _LARGER_THAN_A_STATE)
    return country in countries_with_region(name) and not (
        city(name, country=country) or is_named_after_city(name, country)
    )


def _in_country(name: str, country: str) -> Place:
    """A region or city of a country (alpha-2)."""
    if _is_region(name, country):
        return Place(region=us_states()[fold(name)] if country == "US" else _bounded(name), country=country)
    return Place(_bounded(name), "", country)


def _country_of(city_name: str, region: str) -> str:
    """The country of "Munich, Bavaria", "" where the region is in several countries, or in none."""
    countries = countries_with_region(region)
    with_city = [code for code in countries if city(city_name, country=code)]
    if len(with_city) == 1:
        return with_city[0]
    return min(countries) if len(countries) == 1 and not cities_named(region) else ""


def _is_larger_than_a_country(text: str) -> bool:
    """Whether the name is of a country that is a city too; other names of both, as Georgia, are countries."""
    return fold(text) in {"singapore", "monaco", "luxembourg", "hong kong", "djibouti", "san marino"}


def _pair(first: str, second: str) -> Place:
    """ "City, Country" or "City, State": the gazetteer tells CA, California, from CA, Canada."""
    folded = fold(second)
    if folded in GROUPS:
        return (
            Place(city=_bounded(first), region=GROUPS[folded])
            if not country_code(first)
            else Place(region=GROUPS[folded], country=country_code(first))
        )
    state, code = us_states().get(folded, ""), country_code(second)
    if state and code:
        in_state = city(first, country="US", region=state)
        in_country = city(first, country=code)
        if in_country and (
            not in_state or in_state.region != state or in_country.population > 20 * in_state.population
        ):
            state = ""
        elif in_state or folded not in _RATHER_COUNTRIES:
            code = ""
        else:
            state = ""
    if state:
        return Place(_bounded(first), state, "US")
    if code:
        return _in_country(first, code) if country_code(first) != code else Place(country=code)
    if country_code(first) and not city(first):  # "Germany, Berlin"
        return _in_country(second, country_code(first))
    return Place(_bounded(first), _bounded(second), _country_of(first, second))


def _normal(city_name: str, region: str, country: str) -> Place:
    """Three parts that are known to be city, region and country."""
    code = country_code(country) if country else ""
    if (
        not country
        and region
        and (state := us_states().get(fold(region), ""))
        and city(city_name, country="US", region=state)
    ):
        region, code = state, "US"
    elif code == "US" and region:
        region = us_states().get(fold(region), region)
    if not city_name and not region and not code and country:
        return _single(country, remote=False)
    if country_code(city_name) and country_code(city_name) == code and not region:
        city_name = city_name if _is_larger_than_a_country(city_name) else ""
    if fold(region) == fold(city_name):
        region = ""
    if city_name and not region and code and _is_region(city_name, code):
        return _in_country(city_name, code)
    return Place(_bounded(city_name), _bounded(region), code or _bounded(country))


def _korean(text: str) -> Place | None:
    words = text.replace(",", " ").split()
    if not words or not any("가" <= each <= "힣" for each in text):
        return None
    words = [word for word in words if word not in {"대한민국", "한국"}] or words
    if words[0] in _KOREAN:
        return Place(_KOREAN[words[0]], _bounded(" ".join(words[1:2])), "KR")
    if words[0].startswith(_KOREAN_PROVINCES):
        return Place(_bounded(words[1]) if len(words) > 1 else "", words[0], "KR")
    return None


def _bounded(text: str) -> str:
    return text.strip()[:MAX_NAME]
