"""Filters of the admin over columns with few values in tables with many rows."""

from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest
from psycopg.sql import SQL, Identifier
from unfold.contrib.filters.admin import DropdownFilter

MAX_VALUES = 500  # offered by a filter

# A loose index scan: each step reads the next greater value from the index. DISTINCT would read all rows.
_DISTINCT_VALUES = SQL(
    """
    WITH RECURSIVE step(value) AS (
        (SELECT {column} FROM {table} WHERE {column} <> '' ORDER BY {key} LIMIT 1)
        UNION ALL
        SELECT (
            SELECT {column} FROM {table} WHERE {column} <> '' AND {key} > {previous} ORDER BY {key} LIMIT 1
        )
        FROM step WHERE step.value IS NOT NULL
    )
    SELECT value FROM step WHERE value IS NOT NULL LIMIT %s
    """
)


class IndexedValuesFilter(DropdownFilter):
    """Offer the values of an indexed column, and filter by the chosen one."""

    any_case = False  # True where the index is over upper(column)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Read the values from the index, one step per value."""
        key = SQL("upper({})" if self.any_case else "{}")
        column = Identifier(self.parameter_name)
        statement = _DISTINCT_VALUES.format(
            table=Identifier(model_admin.model._meta.db_table),
            column=column,
            key=key.format(column),
            previous=key.format(SQL("step.value")),
        )
        with connection.cursor() as cursor:
            cursor.execute(statement, [MAX_VALUES])
            return [(value, value) for (value,) in cursor.fetchall()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the rows with the chosen value."""
        if not self.value():
            return queryset
        if self.any_case:
            return queryset.exclude(**{self.parameter_name: ""}).filter(
                **{f"{self.parameter_name}__iexact": self.value()}
            )
        return queryset.filter(**{self.parameter_name: self.value()})


class SourceFilter(IndexedValuesFilter):
    """Filter by the source of a record."""

    title = "source"
    parameter_name = "source"
