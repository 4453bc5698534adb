"""From rows to what ranking looks at: one query for a whole page of candidates for ranking."""

from collections.abc import Iterable

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Q

from apps.embeddings.kinds import tables
from apps.recommendations.ranking import Features, Place

_COLUMNS = (
    "pk",
    "experience_years",
    "english_level",
    "city",
    "region",
    "country",
    "remote",
    "salary_per_year",
    "salary_currency",
)


def features_of(kind: str, ids: Iterable[int]) -> dict[int, Features]:
    """Features by primary key; a row that is gone is missing."""
    columns = [*_COLUMNS, "published_at"] if kind == "posting" else list(_COLUMNS)
    rows = (
        tables(kind)
        .model._default_manager.filter(pk__in=list(ids))
        .annotate(skill_ids=ArrayAgg("skill_uses__skill_id", filter=~Q(skill_uses=None), default=[]))
        .order_by()
        .values(*columns, "skill_ids")
    )
    return {row["pk"]: _features(row) for row in rows}


def _features(row: dict[str, object]) -> Features:
    years, salary = row["experience_years"], row["salary_per_year"]
    return Features(
        skills=frozenset(row["skill_ids"]),  # type: ignore[call-overload]  # ArrayAgg of a foreign key: a list of int
        experience_years=None if years is None else float(years),  # type: ignore[arg-type]
        english_level=row["english_level"],  # type: ignore[arg-type]
        place=Place(*(str(row[name]).casefold() for name in ("city", "region", "country"))),
        remote=bool(row["remote"]),
        salary_per_year=None if salary is None else float(salary),  # type: ignore[arg-type]
        salary_currency=str(row["salary_currency"]),
        published_at=row.get("published_at"),  # type: ignore[arg-type]
    )
