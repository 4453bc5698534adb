"""Read the features that ranking compares: one statement for all rows to rank."""

from collections.abc import Iterable

import orjson
from django.db import connection
from psycopg.sql import SQL

from apps.embeddings.kinds import tables
from apps.embeddings.models import Kind
from apps.recommendations.ranking import Features, Place, place_named

_FEATURES = SQL("""
    SELECT id, ARRAY(SELECT skill_id FROM {skill_use} WHERE {key} = record.id), city, region, country, places,
           experience_years::float, english_level, remote, salary_per_year::float, salary_currency,
           {published_on}
    FROM {record} AS record WHERE id = ANY (%s)
""")
# The last columns, by the name of the feature.
_PLAIN = ("experience_years", "english_level", "remote", "salary_per_year", "salary_currency", "published_on")


def features_of(kind: str, ids: Iterable[int]) -> dict[int, Features]:
    """Features by primary key, without rows that no longer exist."""
    names = tables(kind)
    published_on = SQL("(published_at AT TIME ZONE 'UTC')::date" if names.kind == Kind.POSTING else "NULL")
    with connection.cursor() as cursor:
        cursor.execute(_FEATURES.format(**names.sql, published_on=published_on), [list(ids)])
        return {
            row_id: Features(
                skills=frozenset(skills),
                places=_places(city, region, country, places),
                **dict(zip(_PLAIN, plain, strict=True)),
            )
            for row_id, skills, city, region, country, places, *plain in cursor.fetchall()
        }


def _places(city: str, region: str, country: str, places: str) -> tuple[Place, ...]:
    """All places of a row; `places` is the JSON of its column, which is empty where the row has only one."""
    own = place_named(city, region, country)
    if places == "[]":
        return own
    others = (
        place_named(each.get("city", ""), each.get("region", ""), each.get("country", ""))
        for each in orjson.loads(places)
    )
    return tuple(dict.fromkeys((*own, *(place for other in others for place in other))))
