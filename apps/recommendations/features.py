"""Read the features that ranking compares: one statement for all rows to rank."""

from collections.abc import Iterable

from django.db import connection
from psycopg.sql import SQL

from apps.embeddings.kinds import tables
from apps.embeddings.models import Kind
from apps.recommendations.ranking import Features, Place

_FEATURES = SQL("""
    SELECT id, ARRAY(SELECT skill_id FROM {skill_use} WHERE {key} = record.id), city, region, country,
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
                place=Place(city.casefold(), region.casefold(), country.casefold()),
                **dict(zip(_PLAIN, plain, strict=True)),
            )
            for row_id, skills, city, region, country, *plain in cursor.fetchall()
        }
