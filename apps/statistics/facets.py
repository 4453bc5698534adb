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
    "company": "company_id::text",  # by name in the end, not looked up for each row
    "job_family": "nullif(job_family, '')",
    "employment_type": "nullif(employment_type, '')",
}
# What the expressions above, and the salaries, are made from.
_COLUMNS = (
    "id",
    "country",
    "english_level",
    "remote",
    "experience_years",
    "salary_currency",
    "salary_per_year",
)
_COLUMNS_OF_POSTINGS = ("company_id", "job_family", "employment_type")


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
    """The `first` most frequent values of each facet over the rows of `matching`, none of which comes twice."""
    postings = kind == Kind.POSTING
    facets = _OF_BOTH | (_OF_POSTINGS if postings else {})
    columns = _COLUMNS + (_COLUMNS_OF_POSTINGS if postings else ())
    rows, parameters = matching.order_by().values(*columns).query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(_statement(kind, facets, rows), [*parameters, first])
        counted = cursor.fetchall()
    total = next(count for facet, _, count, _ in counted if facet == "total")
    shares: dict[str, list[Share]] = {name: [] for name in ("skill", *facets)}
    salaries = []
    for facet, value, count, quartiles in counted:
        if facet == "salary":
            salaries.append(Salary(value, count, *(float(each) for each in quartiles)))
        elif facet != "total":
            shares[facet].append(Share(value, count, percent(count, total)))
    return Statistics(total, shares, salaries)


def _statement(kind: str, facets: dict[str, str], rows: str) -> str:
    """One pass over the rows for all facets that are columns: a grouping set for each, and the empty one for the total."""
    names = tables(kind)
    values = ", ".join(f"{sql} AS {name}" for name, sql in facets.items())
    sets = ", ".join(f"({name})" for name in facets)
    which = " ".join(f"WHEN grouping({name}) = 0 THEN '{name}'" for name in facets)
    # CASE, since only there a value is sure to be a number.
    named = (
        "CASE facet WHEN 'company' THEN (SELECT name FROM postings_company WHERE id = value::bigint) ELSE value END"
        if "company" in facets
        else "value"
    )
    return f"""
        WITH matched AS MATERIALIZED (
            SELECT id, salary_currency, salary_per_year, {values} FROM ({rows}) AS record
        ), counted (facet, value, count, quartiles) AS (
            SELECT CASE {which} ELSE 'total' END, coalesce({", ".join(facets)}), count(*), NULL::numeric[]
            FROM matched GROUP BY GROUPING SETS ({sets}, ())
            UNION ALL
            SELECT 'skill', used.skill_id::text, count(*), NULL
            FROM {names.record}skill AS used JOIN matched ON used.{names.key} = matched.id GROUP BY 2
            UNION ALL
            SELECT 'salary', salary_currency, count(*),
                percentile_disc(ARRAY[0.25, 0.5, 0.75]) WITHIN GROUP (ORDER BY salary_per_year)
            FROM matched WHERE salary_per_year IS NOT NULL AND salary_currency <> '' GROUP BY 2
        ), named AS (
            SELECT facet, {named} AS value, count, quartiles
            FROM counted WHERE value IS NOT NULL OR facet = 'total'
        ), ranked AS (
            SELECT *, row_number() OVER (PARTITION BY facet ORDER BY count DESC, value COLLATE "C") AS place
            FROM named
        )
        SELECT facet, value, count, quartiles FROM ranked WHERE place <= %s ORDER BY facet, place
    """
