"""Statistics of the GraphQL API. Each is one statement, and cached until the rows that it counts change."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from django.db import connection, transaction

from apps.caching import tags
from apps.caching.two_level import Computed, cache
from apps.embeddings.kinds import tables
from apps.embeddings.models import Kind
from apps.embeddings.registry import Coverage, active_coverage
from apps.postings.models import Posting
from apps.recommendations.fulltext import rows_with_all_terms
from apps.recommendations.services import filtered
from apps.recommendations.subqueries import Subquery
from apps.skills.directory import SkillEntry, entries_of, public_skills
from apps.skills.services import current_finder
from apps.sql import load
from apps.statistics import privacy
from apps.statistics.facets import Statistics, count_facets, percent
from apps.statistics.models import PublishedStatistics


@dataclass(frozen=True)
class CompanyShare:
    """A company, the number of its open postings, and their percentage of all open postings."""

    company_id: int
    name: str
    count: int
    percent: float


@dataclass(frozen=True)
class CategoryShare:
    """The skills of one category, and their percentage of all skills that were given."""

    name: str
    skills: list[SkillEntry]
    percent: float


@dataclass(frozen=True)
class CategoryDistribution:
    """Skills by category, the largest category first. `unknown` names are not in the dictionary."""

    categories: list[CategoryShare]
    unknown: list[str]


def top_companies(*, first: int) -> list[CompanyShare]:
    """The companies with most open postings; of equals, by name."""

    def compute() -> list[list[Any]]:
        rows = Subquery.of(Posting.objects.open(), "company_id")
        statement = load(__file__, "top_companies").format(open_postings=rows.sql)
        with connection.cursor() as cursor:
            cursor.execute(statement, {**rows.parameters, "first": first})
            return [list(row) for row in cursor.fetchall()]

    found = cache.get_or_compute(
        "top_companies", {"first": first}, tags=tags.of_list("postings"), compute=lambda: Computed(compute())
    )
    return [CompanyShare(key, name, count, percent(count, total)) for key, name, count, total in found]


def search_statistics(kind: str, *, text: str = "", skills: Sequence[str] = (), first: int) -> Statistics:
    """Statistics over the rows of `kind` that have all of `skills` and all terms of `text`.

    Only open postings are counted. Raises FilterError.
    """

    def compute() -> dict[str, Any]:
        rows = filtered(
            kind, {"skills": list(skills)} | ({"open_only": True} if kind == Kind.POSTING else {})
        )
        if text:
            rows = rows.filter(pk__in=rows_with_all_terms(kind, text))
        return asdict(count_facets(kind, rows, first=first))

    found = cache.get_or_compute(
        "search_statistics",
        {"kind": str(kind), "text": text, "skills": list(skills), "first": first},
        tags=(*tags.of_list(tables(kind).namespace), *tags.of_list("skills")),
        compute=lambda: Computed(compute()),
    )
    return Statistics.from_json(found)


def published_candidate_statistics(*, first: int) -> Statistics:
    """Statistics over all candidates for everybody: see apps/statistics/privacy.py.

    Stores them where they are new, or where enough people have changed since the stored ones.
    """

    def compute() -> dict[str, Any]:
        skills = public_skills()
        with transaction.atomic():
            stored, _ = PublishedStatistics.objects.get_or_create(kind=Kind.CANDIDATE)
            # Two processes that renew the figures at once would publish two countings that differ by one.
            stored = PublishedStatistics.objects.select_for_update().get(pk=stored.pk)
            exact = count_facets(Kind.CANDIDATE, filtered(Kind.CANDIDATE, {}))
            counts = privacy.exact_counts(exact, skills=skills)
            if (
                stored.counts is None
                or privacy.min_changed_people(stored.counts, counts) >= privacy.MIN_GROUP_SIZE
            ):
                stored.counts = counts
                stored.figures = asdict(privacy.published(exact, skills=skills))
                stored.save()
        return cast("dict[str, Any]", stored.figures)

    found = cache.get_or_compute(
        "published_statistics",
        {},
        tags=(*tags.of_list("candidates"), *tags.of_list("skills")),
        compute=lambda: Computed(compute()),
    )
    return privacy.first_values(Statistics.from_json(found), first)


def embedded_rows(kind: str) -> Coverage | None:
    """The coverage of `kind` by vectors of the active model; None while no model is active."""

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


def category_distribution(names: Sequence[str], *, private: bool) -> CategoryDistribution:
    """Group the skills with these names or aliases by category, each skill once.

    Without `private`, skills that only candidates name are unknown.
    """
    finder = current_finder()
    resolved = {name: finder.resolve(name, private=private) for name in names}
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
