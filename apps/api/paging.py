"""Relay paging by keyset: a cursor says after which row to go on, so nothing shifts while rows come and go."""

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

from apps.api.errors import bad_field

PAGE = 20
LARGEST_PAGE = 100


@dataclass(frozen=True)
class Page:
    """Items with their cursors, and whether more follow."""

    items: Sequence[Any]
    cursors: Sequence[str]
    has_next: bool
    has_previous: bool


@dataclass(frozen=True)
class Order:
    """An order by one nullable column, largest first and unknown last, then by key, the newest first."""

    name: str
    column: str
    parse: Callable[[Any], Any]

    def apply(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.order_by(F(self.column).desc(nulls_last=True), F("pk").desc())

    def after(self, rows: QuerySet[Any], value: Any, pk: int) -> QuerySet[Any]:
        if value is None:
            return rows.filter(**{f"{self.column}__isnull": True}, pk__lt=pk)
        later = Q(**{f"{self.column}__lt": value}) | Q(**{self.column: value}, pk__lt=pk)
        return rows.filter(later | Q(**{f"{self.column}__isnull": True}))


def number(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def moment(value: Any) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def page_size(first: int | None) -> int:
    """Raises BadInputError outside of 1 to LARGEST_PAGE."""
    if first is None:
        return PAGE
    if not 1 <= first <= LARGEST_PAGE:
        raise bad_field(
            "first", f"{first} is not between 1 and {LARGEST_PAGE}", limit="first", bound=LARGEST_PAGE
        )
    return first


def page_of_rows(rows: QuerySet[Any], order: Order, *, first: int | None, after: str | None) -> Page:
    """One page of a queryset. Raises BadInputError for a wrong `first` or `after`."""
    size = page_size(first)
    ordered = order.apply(rows)
    if after is not None:
        value, pk = decode(after, order.name, 2)
        try:
            ordered = order.after(ordered, order.parse(value), int(pk))
        except (ValueError, TypeError, ArithmeticError, ValidationError) as error:
            raise bad_field("after", "is no cursor of this list") from error
    found = list(ordered[: size + 1])
    shown = found[:size]
    cursors = [encode(order.name, [getattr(row, order.column), row.pk]) for row in shown]
    return Page(shown, cursors, has_next=len(found) > size, has_previous=after is not None)


def encode(name: str, values: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([name, *values], default=str)).decode().rstrip("=")


def decode(cursor: str, name: str, count: int) -> list[Any]:
    """The `count` values of a cursor of the order `name`. Raises BadInputError."""
    try:
        values = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, orjson.JSONDecodeError, UnicodeEncodeError, ValueError) as error:
        raise bad_field("after", "is no cursor of this list") from error
    if not isinstance(values, list) or len(values) != count + 1 or values[0] != name:
        raise bad_field("after", "is no cursor of this list, or of another order of it")
    return values[1:]
