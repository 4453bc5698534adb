"""Count how rows spread over the values of their columns, in one statement for all columns."""

from dataclasses import dataclass
from typing import Any, LiteralString

from django.db import connection, transaction
from django.db.models import Model, QuerySet
from psycopg.sql import SQL, Composed, Identifier, Literal

from apps.embeddings.kinds import tables
from apps.embeddings.models import Kind
from apps.recommendations.subqueries import Subquery
from apps.sql import load


@dataclass(frozen=True)
class Facet:
    """SQL for the value of a row (NULL: not counted) and, once for each value, for its label."""

    value: LiteralString
    label: LiteralString


_OF_BOTH = {
    "country": Facet("nullif(country, '')", "country"),
    "english_level": Facet("english_level", "english_level::text"),
    "remote": Facet("remote", "CASE WHEN remote THEN 'remote' ELSE 'on site' END"),
    "experience": Facet(
        "width_bucket(experience_years, ARRAY[1, 3, 6, 10])",
        "(ARRAY['0', '1-2', '3-5', '6-9', '10+'])[experience + 1]",
    ),
}
_OF_POSTINGS = {
    "company": Facet("company_id", "(SELECT name FROM postings_company WHERE id = company)"),
    "job_family": Facet("nullif(job_family, '')", "job_family"),
    "employment_type": Facet("nullif(employment_type, '')", "employment_type"),
}
# The columns that the expressions above and the salaries need.
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

# By default the planner overrates the cost of passing rows between processes and scans a million of them with
# one; in little memory it joins rows with their skills in parts, through temporary files.
_SETTINGS = "SET LOCAL parallel_tuple_cost = 0.01; SET LOCAL hash_mem_multiplier = 6"


@dataclass(frozen=True)
class Share:
    """A value, the number of rows with it, and their percentage of all rows that matched."""

    value: str
    count: int
    percent: float


@dataclass(frozen=True)
class Salary:
    """The number of rows with a salary in `currency`, and the quartiles of their salaries per year."""

    currency: str
    count: int
    lower_quartile: float
    median: float
    upper_quartile: float


@dataclass(frozen=True)
class Statistics:
    """The number of rows that matched, and the most frequent values of each facet. Skills are given by id."""

    total: int
    facets: dict[str, list[Share]]
    salaries: list[Salary]

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Statistics":
        """The statistics from the form that caches hold."""
        facets = {name: [Share(**each) for each in shares] for name, shares in stored["facets"].items()}
        return cls(stored["total"], facets, [Salary(**each) for each in stored["salaries"]])


def percent(count: int, total: int) -> float:
    """`count` as a percentage of `total`; 0 where there are no rows."""
    return round(100 * count / total, 2) if total else 0.0


def count_facets(kind: str, matching: QuerySet[Model], *, first: int | None = None) -> Statistics:
    """Count the `first` most frequent values of each facet, by default all, over the rows of `matching`.

    The rows must be distinct.
    """
    is_posting = kind == Kind.POSTING
    facets = _OF_BOTH | (_OF_POSTINGS if is_posting else {})
    rows = Subquery.of(matching, *_COLUMNS, *(_COLUMNS_OF_POSTINGS if is_posting else ()))
    statement = _statement(kind, facets, rows)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_SETTINGS)
        cursor.execute(statement, {**rows.parameters, "first": first})
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


def _statement(kind: str, facets: dict[str, Facet], rows: Subquery) -> Composed:
    when, comma, space = SQL("WHEN grouping({}) = 0 THEN {}"), SQL(", "), SQL(" ")
    return load(__file__, "facets").format(
        **tables(kind).sql,
        matching=rows.sql,
        values=comma.join(
            SQL("{} AS {}").format(SQL(facet.value), Identifier(name)) for name, facet in facets.items()
        ),
        grouping_sets=comma.join(SQL("({})").format(Identifier(name)) for name in facets),
        facets=space.join(when.format(Identifier(name), Literal(name)) for name in facets),
        labels=space.join(when.format(Identifier(name), SQL(facet.label)) for name, facet in facets.items()),
    )
