"""Statistics that GraphQL asks for. Each is one statement, and cached until the rows that it counts change."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.db import connection

from apps.caching import tags
from apps.caching.two_level import Computed, cache
from apps.embeddings.kinds import tables
from apps.embeddings.models import Kind
from apps.embeddings.registry import Coverage, active_coverage
from apps.postings.models import Posting
from apps.recommendations.fulltext import rows_with_all
from apps.recommendations.services import filtered
from apps.skills.directory import SkillEntry, entries_of
from apps.skills.services import current_finder
from apps.statistics.facets import Statistics, count_facets, percent


@dataclass(frozen=True)
class CompanyShare:
    """A company with its open postings; `percent` of all open postings."""

    company_id: int
    name: str
    count: int
    percent: float


@dataclass(frozen=True)
class CategoryShare:
    """The skills of one category, out of some."""

    name: str
    skills: list[SkillEntry]
    percent: float


@dataclass(frozen=True)
class CategoryDistribution:
    """How skills spread over categories, the largest first. `unknown` names are in no dictionary."""

    categories: list[CategoryShare]
    unknown: list[str]


def top_companies(*, first: int) -> list[CompanyShare]:
    """The companies with most open postings, by number, equals by name."""

    def compute() -> list[list[Any]]:
        rows, parameters = Posting.objects.open().order_by().values("company_id").query.sql_with_params()
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                SELECT company.id, company.name, counted.count, counted.total
                FROM (SELECT company_id, count(*) AS count, sum(count(*)) OVER ()::bigint AS total
                      FROM ({rows}) AS open GROUP BY company_id) AS counted
                JOIN postings_company AS company ON company.id = counted.company_id
                ORDER BY counted.count DESC, company.name
                LIMIT %s
                """,
                [*parameters, first],
            )
            return [list(row) for row in cursor.fetchall()]

    found = cache.get_or_compute(
        "top_companies", {"first": first}, tags=tags.of_list("postings"), compute=lambda: Computed(compute())
    )
    return [CompanyShare(key, name, count, percent(count, total)) for key, name, count, total in found]


def search_statistics(kind: str, *, text: str = "", skills: Sequence[str] = (), first: int) -> Statistics:
    """Statistics over the rows of `kind` that have all of `skills`, and all words of `text` in their own.

    Of postings the open ones. Raises FilterError.
    """

    def compute() -> dict[str, Any]:
        rows = filtered(
            kind, {"skills": list(skills)} | ({"open_only": True} if kind == Kind.POSTING else {})
        )
        if text:
            rows = rows.filter(pk__in=rows_with_all(kind, text))
        return asdict(count_facets(kind, rows, first=first))

    found = cache.get_or_compute(
        "search_statistics",
        {"kind": str(kind), "text": text, "skills": list(skills), "first": first},
        tags=(*tags.of_list(tables(kind).namespace), *tags.of_list("skills")),
        compute=lambda: Computed(compute()),
    )
    return Statistics.from_json(found)


def embedded_rows(kind: str) -> Coverage | None:
    """How complete the active model's vectors of `kind` are; None while no model is active."""

    def compute() -> dict[str, Any] | None:
        counted = active_coverage(kind)
        return asdict(counted) if counted else None

    found = cache.get_or_compute(
        "embedded_rows",
        {"kind": str(kind)},
        tags=tags.of_list(tables(kind).namespace),
        compute=lambda: Computed(compute()),
    )
    return Coverage(**found) if found else None


def category_distribution(names: Sequence[str]) -> CategoryDistribution:
    """The categories of the skills that `names` mean, each skill once."""
    finder = current_finder()
    resolved = {name: finder.resolve(name) for name in names}
    found = entries_of(sorted({skill_id for skill_id in resolved.values() if skill_id is not None}))
    by_category: dict[str, list[SkillEntry]] = {}
    for entry in found:
        by_category.setdefault(entry.category, []).append(entry)
    shares = [
        CategoryShare(
            name, sorted(members, key=lambda each: each.name.casefold()), percent(len(members), len(found))
        )
        for name, members in by_category.items()
    ]
    return CategoryDistribution(
        sorted(shares, key=lambda each: (-len(each.skills), each.name)),
        [name for name, skill_id in resolved.items() if skill_id is None],
    )
