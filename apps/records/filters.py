"""Filters over the columns that postings and candidates share."""

from collections.abc import Callable, Mapping
from typing import Any

import django_filters as filters
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet

from apps.records.normalizing.gazetteer import country_code
from apps.records.normalizing.place_names import names_of
from apps.skills.services import current_finder

DEFAULT_CURRENCY = "USD"
MAX_LIST_ENTRIES = 20  # each entry is a join of the statement


class StringsField(forms.Field):
    """A list of strings, as GraphQL passes it."""

    def to_python(self, value: Any) -> list[str]:
        """Return the strings. Raises ValidationError for anything but a list of up to 20 strings."""
        if value in (None, ""):
            return []
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise ValidationError("must be a list of strings")
        if len(value) > MAX_LIST_ENTRIES:
            raise ValidationError(f"has {len(value)} entries, more than {MAX_LIST_ENTRIES}")
        return value


class StringsFilter(filters.Filter):
    """A filter whose value is a list of strings."""

    field_class = StringsField


class CountryField(forms.CharField):
    """A country's name or code; its value is the ISO 3166 alpha-2 code."""

    def to_python(self, value: Any) -> str:
        """Return the code, or "". Raises ValidationError for a name that no language has."""
        text = super().to_python(value) or ""
        code = country_code(text)
        if text and not code:
            raise ValidationError(f"{text[:40]!r} is not a country; give its name or its ISO 3166 code")
        return code


class CountryFilter(filters.CharFilter):
    """A filter whose value is a country."""

    field_class = CountryField


def in_any_case(path: str) -> Callable[..., QuerySet[Any]]:
    """Return a filter method that keeps rows whose `path` equals the value in any case."""

    def method(records: QuerySet[Any], _name: str, value: str) -> QuerySet[Any]:
        return records.filter(_same(path, value))

    return method


def _same(path: str, value: str) -> Q:
    # The indexes over UPPER() leave empty values out, so PostgreSQL uses them only where the condition does
    # too.
    return Q(**{f"{path}__iexact": value.strip()}) & ~Q(**{path: ""})


class RecordFilterSet(filters.FilterSet):
    """Filters by the columns of every record. `form.errors` holds the faults of the values."""

    source = filters.CharFilter("source", help_text="Source the row came from")
    location = filters.CharFilter(
        method="is_in",
        help_text=(
            "City, region or country, or several parts such as `New York, NY`; case and accents do not matter"
        ),
    )
    remote = filters.BooleanFilter("remote", help_text="Remote work")
    salary_currency = filters.CharFilter(
        method="unfiltered",
        min_length=3,
        max_length=3,
        help_text="ISO 4217 code of the salary filter; USD by default",
    )
    skills = StringsFilter(method="has_skills", help_text="Has all of these skills; aliases are understood")

    base_filters: dict[str, filters.Filter]

    def __init__(self, data: Mapping[str, Any], queryset: QuerySet[Any]) -> None:
        # A filter set copies its filters, and copying all of them costs more than a query: keep those with a
        # value.
        self.base_filters = {name: each for name, each in self.base_filters.items() if name in data}
        super().__init__(data=data, queryset=queryset)

    def is_in(self, records: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Keep rows that are in the place `value`, by any of their places."""
        names, holds_all = names_of(value)
        return records.filter(**{f"place_names__{'contains' if holds_all else 'overlap'}": names})

    def unfiltered(self, records: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Keep all rows: the currency only qualifies the salary filters."""
        return records

    def currency(self) -> str:
        """Return the currency of the salary filters."""
        return (self.form.cleaned_data.get("salary_currency") or DEFAULT_CURRENCY).upper()

    def has_skills(self, records: QuerySet[Any], name: str, value: list[str]) -> QuerySet[Any]:
        """Keep rows that have all the named skills."""
        finder = current_finder()
        for skill in value:
            # No row has an unknown skill, and no skill has the id 0. A queryset of none() would have no SQL,
            # which other statements embed.
            records = records.filter(skill_uses__skill_id=finder.resolve(skill) or 0)
        return records
