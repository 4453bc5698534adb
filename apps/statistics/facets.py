"""How rows spread over the values of their columns: one statement, however many columns."""

from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Model, QuerySet

from apps.embeddings.kinds import tables
from apps.embeddings.models import Kind

# Facet → SQL for its value in a row; a row without a value is not counted there.
_OF_BOTH = {
    "country": "nullif(country, '')",
    "english_level": "english_level::text",
    "remote": "CASE WHEN remote THEN 'remote' ELSE 'on site' END",
    "experience": """CASE WHEN experience_years < 1 THEN '0' WHEN experience_years < 3 THEN '1-2'
        WHEN experience_years < 6 THEN '3-5' WHEN experience_years < 10 THEN '6-9'
        WHEN experience_years >= 10 THEN '10+' END""",
}
_OF_POSTINGS = {
    "company": "(SELECT name FROM postings_company WHERE postings_company.id = company_id)",
    "job_family": "nullif(job_family, '')",
    "employment_type": "nullif(employment_type, '')",
}


@dataclass(frozen=True)
class Share:
    """So many rows have the value; `percent` of all rows that matched."""

    value: str
    count: int
    percent: float


@dataclass(frozen=True)
class Salary:
    """Of the rows with a salary in `currency`, per year: how many, and the quartiles."""

    currency: str
    count: int
    lower_quartile: float
    median: float
    upper_quartile: float


@dataclass(frozen=True)
class Statistics:
    """`total` rows matched. Each facet holds its most frequent values, the largest first; skills are by id."""

    total: int
    facets: dict[str, list[Share]]
    salaries: list[Salary]

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Statistics":
        facets = {name: [Share(**each) for each in shares] for name, shares in stored["facets"].items()}
        return cls(stored["total"], facets, [Salary(**each) for each in stored["salaries"]])


def percent(count: int, total: int) -> float:
    return round(100 * count / total, 2) if total else 0.0


def count_facets(kind: str, matching: QuerySet[Model], *, first: int) -> Statistics:
    """The `first` most frequent values of each facet over the rows of `matching`."""
    columns = _OF_BOTH | (_OF_POSTINGS if kind == Kind.POSTING else {})
    ids, parameters = matching.order_by().values("pk").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(_statement(kind, columns, ids), [*parameters, first])
        rows = cursor.fetchall()
    total = next(count for facet, _, count, _ in rows if facet == "total")
    facets: dict[str, list[Share]] = {name: [] for name in ("skill", *columns)}
    salaries = []
    for facet, value, count, quartiles in rows:
        if facet == "salary":
            salaries.append(Salary(value, count, *(float(each) for each in quartiles)))
        elif facet != "total":
            facets[facet].append(Share(value, count, percent(count, total)))
    return Statistics(total, facets, salaries)


def _statement(kind: str, columns: dict[str, str], ids: str) -> str:
    names = tables(kind)
    uses = f"{names.record}skill"
    values = ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
    pairs = ", ".join(f"('{name}', {name})" for name in columns)
    return f"""
        WITH matched AS MATERIALIZED (
            SELECT id, salary_currency, salary_per_year, {values} FROM {names.record} WHERE id IN ({ids})
        ), counted (facet, value, count, quartiles) AS (
            SELECT pair.facet, pair.value, count(*), NULL::numeric[]
            FROM matched CROSS JOIN LATERAL (VALUES {pairs}) AS pair (facet, value)
            WHERE pair.value IS NOT NULL GROUP BY 1, 2
            UNION ALL
            SELECT 'skill', used.skill_id::text, count(*), NULL
            FROM {uses} AS used JOIN matched ON used.{names.key} = matched.id GROUP BY 2
            UNION ALL
            SELECT 'salary', salary_currency, count(*),
                percentile_disc(ARRAY[0.25, 0.5, 0.75]) WITHIN GROUP (ORDER BY salary_per_year)
            FROM matched WHERE salary_per_year IS NOT NULL AND salary_currency <> '' GROUP BY 2
            UNION ALL
            SELECT 'total', '', count(*), NULL FROM matched
        ), ranked AS (
            SELECT *, row_number() OVER (PARTITION BY facet ORDER BY count DESC, value COLLATE "C") AS place
            FROM counted
        )
        SELECT facet, value, count, quartiles FROM ranked WHERE place <= %s ORDER BY facet, place
    """
