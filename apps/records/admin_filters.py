"""Filters of the admin over columns with few values in tables with many rows."""

from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import DropdownFilter

MOST = 500  # values offered


class IndexedValuesFilter(DropdownFilter):
    """Offers the values of an indexed column.

    They are found by leaps through the index, one for each value: DISTINCT would read the whole table each time
    somebody looks at the list.
    """

    any_case = False  # the index is over upper(column)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        table, column = model_admin.model._meta.db_table, self.parameter_name
        key = "upper({})" if self.any_case else "{}"
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                WITH RECURSIVE leap(value) AS (
                    (SELECT {column} FROM {table} WHERE {column} <> '' ORDER BY {key.format(column)} LIMIT 1)
                    UNION ALL
                    SELECT (SELECT {column} FROM {table}
                            WHERE {column} <> '' AND {key.format(column)} > {key.format("leap.value")}
                            ORDER BY {key.format(column)} LIMIT 1)
                    FROM leap WHERE leap.value IS NOT NULL
                )
                SELECT value FROM leap WHERE value IS NOT NULL LIMIT {MOST}
                """
            )
            return [(value, value) for (value,) in cursor.fetchall()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        if self.any_case:
            return queryset.exclude(**{self.parameter_name: ""}).filter(
                **{f"{self.parameter_name}__iexact": self.value()}
            )
        return queryset.filter(**{self.parameter_name: self.value()})


class SourceFilter(IndexedValuesFilter):
    title = "source"
    parameter_name = "source"
