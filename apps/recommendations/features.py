"""From rows to what ranking looks at: one query for a whole page of candidates for ranking."""

from collections.abc import Iterable

from django.db import connection

from apps.embeddings.kinds import tables
from apps.embeddings.models import Kind
from apps.recommendations.ranking import Features, Place


def features_of(kind: str, ids: Iterable[int]) -> dict[int, Features]:
    """Features by primary key; a row that is gone is missing."""
    names = tables(kind)
    published_on = "(published_at AT TIME ZONE 'UTC')::date" if names.kind == Kind.POSTING else "NULL"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT id, ARRAY(SELECT skill_id FROM {names.skill_use} WHERE {names.key} = record.id),
                   experience_years::float, english_level, city, region, country, remote,
                   salary_per_year::float, salary_currency, {published_on}
            FROM {names.record} AS record WHERE id = ANY (%s)
            """,
            [list(ids)],
        )
        return {
            row_id: Features(
                skills=frozenset(skills),
                experience_years=years,
                english_level=english,
                place=Place(city.casefold(), region.casefold(), country.casefold()),
                remote=remote,
                salary_per_year=salary,
                salary_currency=currency,
                published_on=published,
            )
            for row_id, skills, years, english, city, region, country, remote, salary, currency, published in cursor.fetchall()
        }
