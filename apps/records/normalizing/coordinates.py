"""Coordinates of the places of a row, as its column `coordinates` holds them."""

from collections.abc import Mapping, Sequence

from apps.records.normalizing.gazetteer import coordinates

PLACE_FIELDS = frozenset({"city", "region", "country", "places"})
NONE: tuple[None, None] = (None, None)


def coordinates_of(
    *, city: str, region: str, country: str, places: Sequence[Mapping[str, str]]
) -> list[float | None]:
    """Return latitude and longitude in degrees of each place in turn, [] if no place has any.

    A place without coordinates has two Nones. A row without `places` has one, its city, region and country.
    """
    pairs = [
        coordinates(place.get("city", ""), place.get("region", ""), place.get("country", "")) or NONE
        for place in places
    ] or [coordinates(city, region, country) or NONE]
    return [] if all(pair is NONE for pair in pairs) else [number for pair in pairs for number in pair]
