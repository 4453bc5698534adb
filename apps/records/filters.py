"""What the filters of postings and candidates share."""

from collections.abc import Callable, Mapping
from typing import Any

import django_filters as filters
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet

from apps.skills.services import current_finder

DEFAULT_CURRENCY = "USD"
LONGEST_LIST = 20  # each is a join of the statement


class StringsField(forms.Field):
    """A list of strings, as GraphQL hands it over."""

    def to_python(self, value: Any) -> list[str]:
        if value in (None, ""):
            return []
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise ValidationError("a list of strings is needed")
        if len(value) > LONGEST_LIST:
            raise ValidationError(f"{len(value)} are too many, at most {LONGEST_LIST}")
        return value


class StringsFilter(filters.Filter):
    field_class = StringsField


def in_any_case(path: str) -> Callable[..., QuerySet[Any]]:
    """A filter method: `path` equals the value in any case."""

    def method(records: QuerySet[Any], _name: str, value: str) -> QuerySet[Any]:
        return records.filter(_same(path, value))

    return method


def _same(path: str, value: str) -> Q:
    # Fits the indexes over UPPER(), which leave empty values out: PostgreSQL must be told that none is asked for.
    return Q(**{f"{path}__iexact": value.strip()}) & ~Q(**{path: ""})


class RecordFilterSet(filters.FilterSet):
    """Filters by the columns that both kinds of records have. Raises nothing: see `apps.api` for the errors."""

    source = filters.CharFilter("source", help_text="Source the row came from")
    location = filters.CharFilter(method="is_in", help_text="City, region or country, in any case")
    remote = filters.BooleanFilter("remote", help_text="Remote work")
    salary_currency = filters.CharFilter(
        method="as_it_is",
        min_length=3,
        max_length=3,
        help_text="ISO 4217 code of the salary filter; USD by default",
    )
    skills = StringsFilter(method="has_skills", help_text="Has all of these skills; aliases are understood")

    base_filters: dict[str, filters.Filter]

    def __init__(self, data: Mapping[str, Any], queryset: QuerySet[Any]) -> None:
        # Only those that are given a value: a filter set copies its filters, and all of them cost more than a query.
        self.base_filters = {name: each for name, each in self.base_filters.items() if name in data}
        super().__init__(data=data, queryset=queryset)

    def is_in(self, records: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return records.filter(_same("city", value) | _same("region", value) | _same("country", value))

    def as_it_is(self, records: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return records

    def currency(self) -> str:
        return (self.form.cleaned_data.get("salary_currency") or DEFAULT_CURRENCY).upper()

    def has_skills(self, records: QuerySet[Any], name: str, value: list[str]) -> QuerySet[Any]:
        finder = current_finder()
        for skill in value:
            # A skill that nobody has heard of is one that no row has: no skill has the id 0. Not none(), which has no
            # SQL for the statements that take their rows from this one.
            records = records.filter(skill_uses__skill_id=finder.resolve(skill) or 0)
        return records
