"""Names that find the places of rows, as `jobrec_place_names` in PostgreSQL makes them of a row."""

from apps.records.normalizing.folding import fold
from apps.records.normalizing.gazetteer import country_code, us_states
from apps.records.normalizing.places import Place, parse_places


def names_of(text: str) -> tuple[list[str], bool]:
    """Return the names that a row must hold to be in the place `text`, and whether it must hold all of them.

    "Berlin" is any city, region or country of that name; so is "Georgia", which is two of them. "New York,
    NY" is the city in that state, however the row writes it.
    """
    places = parse_places(text).places
    place = places[0] if places else Place(city=text)
    city, region, country = (fold(each) for each in (place.city, place.region, place.country))
    if city and (region or country):
        return [f"{city}|{other}" for other in (region, country) if other], True
    names = {fold(text), city, region, country, country_code(text).casefold()}
    if state := us_states().get(fold(text), ""):
        names |= {state.casefold() if len(text.strip()) > 2 else fold(text)}
    return sorted(names - {""}), False
