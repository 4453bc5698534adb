"""Statements of Django's ORM as parts of written SQL."""

import re
from dataclasses import dataclass
from itertools import count
from typing import Any, Self

from django.db.models import QuerySet
from psycopg.sql import SQL, Composable


@dataclass(frozen=True)
class Subquery:
    """A SELECT for a part of another statement, and its named parameters."""

    sql: Composable
    parameters: dict[str, Any]

    @classmethod
    def of(cls, rows: QuerySet[Any], *columns: str) -> Self:
        """The statement that selects `columns` of `rows` in no order; by default the primary key."""
        text, values = rows.order_by().values(*(columns or ("pk",))).query.sql_with_params()
        numbers = count()

        def name(found: re.Match[str]) -> str:
            return "%%" if found[0] == "%%" else f"%(subquery_{next(numbers)})s"

        named = re.sub("%[s%]", name, text)
        return cls(SQL(named), {f"subquery_{number}": value for number, value in enumerate(values)})

    @classmethod
    def of_keys(cls, keys: list[int]) -> Self:
        """The statement that selects these primary keys."""
        return cls(SQL("SELECT unnest(%(keys)s::bigint[])"), {"keys": keys})
