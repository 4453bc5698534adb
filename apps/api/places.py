"""The GraphQL type of the places of postings and candidates."""

from typing import Any

import graphene

from apps.records.models import Record
from apps.records.normalizing.gazetteer import country_name


class PlaceType(graphene.ObjectType):
    """One place of a posting or candidate."""

    class Meta:
        name = "Place"

    city = graphene.String(required=True, description="City; empty if unknown")
    region = graphene.String(required=True, description="Region; empty if unknown")
    country = graphene.String(
        required=True,
        description="ISO 3166 code of the country, or its name if it has none; empty if unknown",
    )
    country_name = graphene.String(
        required=True,
        language=graphene.String(
            default_value="en",
            description="BCP 47 tag of the reader's language, such as ko or pt-BR; unknown ones give English",
        ),
        description="Name of the country in a language; empty if unknown",
    )
    latitude = graphene.Float(description="Degrees north of the equator; null if the city is unknown")
    longitude = graphene.Float(description="Degrees east of Greenwich; null if the city is unknown")

    @staticmethod
    def resolve_country_name(root: dict[str, Any], _info: Any, language: str) -> str:
        """Return the name of the country in the language."""
        return country_name(root["country"], language)


def places_field(description: str) -> graphene.List:
    """The field `places` of a node."""
    return graphene.List(graphene.NonNull(PlaceType), required=True, description=description)


def places_of_record(record: Record, _info: Any) -> list[dict[str, Any]]:
    """Resolve all places of a row, the first of them the one in its columns; [] if none is known."""
    own = {"city": record.city, "region": record.region, "country": record.country}
    places: list[dict[str, Any]] = [
        {name: place.get(name, "") for name in own} for place in record.places
    ] or ([dict(own)] if any(own.values()) else [])
    for place, latitude, longitude in zip(
        places, record.coordinates[::2], record.coordinates[1::2], strict=False
    ):
        place |= {"latitude": latitude, "longitude": longitude}
    return places
