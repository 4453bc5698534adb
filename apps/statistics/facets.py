"""How rows spread over the values of their columns: one statement, however many columns."""

from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models import Model, QuerySet

from apps.embeddings.kinds import tables
from apps.embeddings.models import Kind


@dataclass(frozen=True)
class Facet:
    """SQL for its value in a row (NULL: the row is not counted there), and for how that is said, once for each value."""

    value: str
    said: str


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

# The planner holds handing rows on between processes for dearer than it is, so it would scan a million of them with one;
# and in little memory it joins rows with their skills in parts, by way of the disk.
_SETTINGS = "SET LOCAL parallel_tuple_cost = 0.01; SET LOCAL hash_mem_multiplier = 6"


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

    def without_groups_below(self, least: int) -> "Statistics":
        """The same without the values that fewer than `least` rows have, and what tells of them all the same: the other
        side of two, and quartiles, of which each is somebody's own figure."""
        facets = {
            name: [each for each in shares if each.count >= least] for name, shares in self.facets.items()
        }
        if len(facets["remote"]) < len(self.facets["remote"]):
            facets["remote"] = []
        return Statistics(self.total, facets, [each for each in self.salaries if each.count >= 4 * least])


def percent(count: int, total: int) -> float:
    return round(100 * count / total, 2) if total else 0.0


def count_facets(kind: str, matching: QuerySet[Model], *, first: int) -> Statistics:
    """The `first` most frequent values of each facet over the rows of `matching`, none of which comes twice."""
    postings = kind == Kind.POSTING
    facets = _OF_BOTH | (_OF_POSTINGS if postings else {})
    columns = _COLUMNS + (_COLUMNS_OF_POSTINGS if postings else ())
    rows, parameters = matching.order_by().values(*columns).query.sql_with_params()
    statement = _statement(kind, facets, rows)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_SETTINGS)
        cursor.execute(statement, [*parameters, first])
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


def _statement(kind: str, facets: dict[str, Facet], rows: str) -> str:
    """One pass over the rows for all facets that are columns: a grouping set for each, and the empty one for the total."""
    names = tables(kind)
    values = ", ".join(f"{facet.value} AS {name}" for name, facet in facets.items())
    sets = ", ".join(f"({name})" for name in facets)
    which = " ".join(f"WHEN grouping({name}) = 0 THEN '{name}'" for name in facets)
    said = " ".join(f"WHEN grouping({name}) = 0 THEN {facet.said}" for name, facet in facets.items())
    return f"""
        WITH matched AS MATERIALIZED (
            SELECT id, salary_currency, salary_per_year, {values} FROM ({rows}) AS record
        ), counted (facet, value, count, quartiles) AS (
            SELECT CASE {which} ELSE 'total' END, CASE {said} END, count(*), NULL::numeric[]
            FROM matched GROUP BY GROUPING SETS ({sets}, ())
            UNION ALL
            SELECT 'skill', used.skill_id::text, count(*), NULL
            FROM {names.record}skill AS used JOIN matched ON used.{names.key} = matched.id GROUP BY used.skill_id
            UNION ALL
            SELECT 'salary', salary_currency, count(*),
                percentile_disc(ARRAY[0.25, 0.5, 0.75]) WITHIN GROUP (ORDER BY salary_per_year)
            FROM matched WHERE salary_per_year IS NOT NULL AND salary_currency <> '' GROUP BY 2
        ), ranked AS (
            SELECT *, row_number() OVER (PARTITION BY facet ORDER BY count DESC, value COLLATE "C") AS place
            FROM counted WHERE value IS NOT NULL OR facet = 'total'
        )
        SELECT facet, value, count, quartiles FROM ranked WHERE place <= %s ORDER BY facet, place
    """
