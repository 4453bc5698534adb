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
    country_name = graphene.String(required=True, description="English name of the country; empty if unknown")

    @staticmethod
    def resolve_country_name(root: dict[str, str], _info: Any) -> str:
        """Return the English name of the country."""
        return country_name(root["country"])


def places_field(description: str) -> graphene.List:
    """The field `places` of a node."""
    return graphene.List(graphene.NonNull(PlaceType), required=True, description=description)


def places_of_record(record: Record, _info: Any) -> list[dict[str, str]]:
    """Resolve all places of a row, the first of them the one in its columns; [] if none is known."""
    own = {"city": record.city, "region": record.region, "country": record.country}
    others = [{name: place.get(name, "") for name in own} for place in record.places]
    return others or ([own] if any(own.values()) else [])
