"""Relay paging by keyset: a cursor is a position, the value and the primary key of the row before a page.

Rows that are added or deleted between two pages shift no other row. An edit of the value that a list is
ordered by moves its row: ahead of the cursor, where no later page has it, or behind it, where it comes again.
`LAST_ADDED` orders by primary key, which no edit changes.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
from django.core.exceptions import ValidationError
from django.db.models import F, Q, QuerySet

from apps.api.errors import BadInputError, bad_field

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 100


@dataclass(frozen=True)
class Page:
    """Items with their cursors, and whether there are items before and after them."""

    items: Sequence[Any]
    cursors: Sequence[str]
    has_next: bool
    has_previous: bool


@dataclass(frozen=True)
class Order:
    """An order by one column, largest value first and NULL last; equal rows by descending primary key.

    `name` is part of a cursor. `parse` turns a JSON value into a value of the column, and may raise
    ValueError, TypeError or ArithmeticError.
    """

    name: str
    column: str
    parse: Callable[[Any], Any]

    def apply(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """The rows in this order."""
        if self.column == "pk":
            return rows.order_by("-pk")
        return rows.order_by(F(self.column).desc(nulls_last=True), F("pk").desc())

    def after(self, rows: QuerySet[Any], value: Any, pk: int) -> list[QuerySet[Any]]:
        """The rows after the one with `value` and `pk`: up to two querysets, with a value and without one.

        Each is one range of the index; a single condition for both would be none.
        """
        if self.column == "pk":
            return [rows.filter(pk__lt=pk)]
        without_value = rows.filter(**{f"{self.column}__isnull": True})
        if value is None:
            return [without_value.filter(pk__lt=pk)]
        later = Q(**{f"{self.column}__lt": value}) | Q(**{self.column: value}, pk__lt=pk)
        with_value = rows.filter(later, **{f"{self.column}__lte": value})
        field = rows.model._meta.get_field(self.column)
        return [with_value, without_value] if field.null or field.generated else [with_value]


LAST_ADDED = Order("added", "pk", int)


def number(value: Any) -> Decimal | None:
    """Parse the value of a numeric column."""
    return None if value is None else Decimal(str(value))


def moment(value: Any) -> datetime | None:
    """Parse the value of a column of timestamps."""
    return None if value is None else datetime.fromisoformat(value)


def page_size(first: int | None) -> int:
    """The size of a page for the argument `first`. Raises BadInputError unless it is 1 to MAX_PAGE_SIZE."""
    if first is None:
        return DEFAULT_PAGE_SIZE
    if not 1 <= first <= MAX_PAGE_SIZE:
        raise bad_field(
            "first", f"{first} is not between 1 and {MAX_PAGE_SIZE}", limit="first", bound=MAX_PAGE_SIZE
        )
    return first


def page_of_rows(rows: QuerySet[Any], order: Order, *, first: int | None, after: str | None) -> Page:
    """One page of a queryset. Raises BadInputError for a wrong `first` or `after`."""
    size = page_size(first)
    ordered = order.apply(rows)
    try:
        parts = [ordered] if after is None else order.after(ordered, *_position(after, order))
        found: list[Any] = []
        for part in parts:
            if len(found) <= size:
                found += part[: size + 1 - len(found)]
    # A value that the column cannot be compared with fails in the query.
    except (ValueError, TypeError, ArithmeticError, ValidationError) as error:
        raise bad_cursor() from error
    items = found[:size]
    cursors = [encode_cursor(order.name, [getattr(row, order.column), row.pk]) for row in items]
    return Page(items, cursors, has_next=len(found) > size, has_previous=after is not None)


def _position(cursor: str, order: Order) -> tuple[Any, int]:
    """The value and the primary key in a cursor."""
    value, pk = decode_cursor(cursor, order.name, 2)
    return order.parse(value), int(pk)


def bad_cursor() -> BadInputError:
    """The error for a cursor that no page of the list has."""
    return bad_field("after", "is not a cursor of this list in this order")


def encode_cursor(name: str, values: Sequence[Any]) -> str:
    """A cursor of the order `name`, opaque to clients."""
    return base64.urlsafe_b64encode(orjson.dumps([name, *values], default=str)).decode().rstrip("=")


def decode_cursor(cursor: str, name: str, count: int) -> list[Any]:
    """The `count` values of a cursor of the order `name`. Raises BadInputError."""
    try:
        values = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, orjson.JSONDecodeError, UnicodeEncodeError, ValueError) as error:
        raise bad_cursor() from error
    if (
        not isinstance(values, list)
        or len(values) != count + 1
        or values[0] != name
        or any(isinstance(value, list | dict) for value in values)
    ):
        raise bad_cursor()
    return values[1:]
