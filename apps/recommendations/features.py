"""Read the features that ranking compares: one statement for all rows to rank."""

from collections.abc import Iterable
from dataclasses import dataclass

import orjson
from django.db import connection
from psycopg.sql import SQL

from apps.embeddings.kinds import tables
from apps.embeddings.models import Kind
from apps.recommendations.ranking import Features, Place, place_named
from apps.skills.services import current_finder

_FEATURES = SQL("""
    SELECT record.id, {title}, {company_id}, {company},
           ARRAY(SELECT skill_id FROM {skill_use} WHERE {key} = record.id),
           ARRAY(SELECT skill_id FROM {skill_use} WHERE {key} = record.id AND origin = 'stated'),
           city, region, country, places,
           experience_years::float, english_level, remote, salary_per_year::float, salary_currency,
           {published_on}, {own_company}, {sponsored}
    FROM {record} AS record {join} WHERE record.id = ANY (%s)
""")
_OF_POSTINGS = {
    "company_id": SQL("record.company_id"),
    "company": SQL("coalesce(company.folded_name, '')"),
    "join": SQL("LEFT JOIN postings_company AS company ON company.id = record.company_id"),
    "published_on": SQL("(published_at AT TIME ZONE 'UTC')::date"),
    "own_company": SQL(
        "EXISTS (SELECT FROM recommendations_rankingoptions_own_companies AS own "
        "WHERE own.company_id = record.company_id)"
    ),
    "sponsored": SQL(
        "EXISTS (SELECT FROM recommendations_sponsoredposting AS sponsored "
        "WHERE sponsored.posting_id = record.id AND coalesce(sponsored.until > now(), true))"
    ),
}
_OF_CANDIDATES = {name: SQL("NULL") for name in ("company_id", "published_on")} | {
    "company": SQL("''"),
    "join": SQL(""),
    "own_company": SQL("false"),
    "sponsored": SQL("false"),
}
# The last columns, by the name of the feature.
_PLAIN = (
    "experience_years",
    "english_level",
    "remote",
    "salary_per_year",
    "salary_currency",
    "published_on",
    "own_company",
    "sponsored",
)


@dataclass(frozen=True)
class Row:
    """A record as ranking reads it. `company` is its folded name, "" where unknown."""

    features: Features
    title: str
    company_id: int | None
    company: str


def read_rows(kind: str, ids: Iterable[int]) -> dict[int, Row]:
    """Rows by primary key, without those that no longer exist."""
    names = tables(kind)
    parts = _OF_POSTINGS if names.kind == Kind.POSTING else _OF_CANDIDATES
    finder = current_finder() if names.kind == Kind.POSTING else None
    with connection.cursor() as cursor:
        cursor.execute(_FEATURES.format(**names.sql, **parts), [list(ids)])
        rows = cursor.fetchall()
    return {
        row_id: Row(
            Features(
                skills=frozenset(skills),
                title_skills=frozenset(finder.find(title)) & frozenset(skills) if finder else frozenset(),
                stated_skills=frozenset(stated),
                places=_places(city, region, country, places),
                **dict(zip(_PLAIN, plain, strict=True)),
            ),
            title,
            company_id,
            company,
        )
        for row_id, title, company_id, company, skills, stated, city, region, country, places, *plain in rows
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
