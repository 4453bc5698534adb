"""Names that find the places of rows, as `jobrec_place_names` in PostgreSQL makes them of a row."""

from apps.records.normalizing.folding import fold
from apps.records.normalizing.gazetteer import country_code, us_states
from apps.records.normalizing.places import Place, parse_places


def names_of(text: str) -> tuple[list[str], bool]:
    """Return the names that a row must hold to be in the place `text`, and whether it must hold all of them.

    "Berlin" is any city, region or country of that name; so is "Georgia", which is two of them. "New York,
    NY" is the city in that state, however the row writes it. "Springfield, IL, USA" must be one place of the
    row, not the city of one and the state of another.
    """
    places = parse_places(text).places
    place = places[0] if places else Place(city=text)
    city, region, country = (fold(each) for each in (place.city, place.region, place.country))
    parts = [part for part in (city, region, country) if part]
    if city and len(parts) > 1:
        return ["|".join(parts)], True
    # A region in its country, not any place of that country.
    names = {f"{region}|{country}"} if region and country else {city, region, country}
    names |= {fold(text), country_code(text).casefold()}
    if state := us_states().get(fold(text), ""):
        names.add(f"{state.casefold()}|us")
    return sorted(names - {""}), False
