"""Relay paging by keyset: a cursor says after which row to go on, so nothing shifts while rows come and go.

Where an edit may move a row in the order, the key alone would lose one that rises above the cursor and repeat one that
falls below it. So a cursor of such an order also names the rows that were shown before it: one that rose comes first on
the next page, and none comes twice. They are kept for CURSOR_TTL, for as many as MOST_SHOWN; beyond, the key decides.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import orjson
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from apps.api.errors import BadInputError, bad_field
from apps.caching.two_level import Codec, Computed, TwoLevelCache

PAGE = 20
LARGEST_PAGE = 100
MOST_SHOWN = 2_000
# The clocks of a web server and of the database may differ by so much, and a transaction take so long.
SLACK = timedelta(minutes=2)

_shown = TwoLevelCache(
    codec=Codec(
        encode=lambda keys: np.asarray(keys, "<i8").tobytes(),
        decode=lambda packed: np.frombuffer(packed, "<i8").tolist(),
        weight=lambda keys: 1 + len(keys) // 1_000,
    )
)


@dataclass(frozen=True)
class Page:
    """Items with their cursors, and whether more follow."""

    items: Sequence[Any]
    cursors: Sequence[str]
    has_next: bool
    has_previous: bool
    is_cacheable: bool = True  # False if the rows shown before it have expired


@dataclass(frozen=True)
class Order:
    """An order by one nullable column, largest first and unknown last, then by key, the newest first.

    `edits_move`: the column may change, of rows that have `created_at` and `updated_at`.
    """

    name: str
    column: str
    parse: Callable[[Any], Any]
    edits_move: bool = False

    def apply(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        if self.column == "pk":
            return rows.order_by("-pk")
        return rows.order_by(F(self.column).desc(nulls_last=True), F("pk").desc())

    def after(self, rows: QuerySet[Any], value: Any, pk: int) -> list[QuerySet[Any]]:
        """The rows behind a place, in two parts where the unknown ones come last: each a stretch of the index."""
        if self.column == "pk":
            return [rows.filter(pk__lt=pk)]
        unknown = rows.filter(**{f"{self.column}__isnull": True})
        if value is None:
            return [unknown.filter(pk__lt=pk)]
        later = Q(**{f"{self.column}__lt": value}) | Q(**{self.column: value}, pk__lt=pk)
        known = rows.filter(later, **{f"{self.column}__lte": value})
        field = rows.model._meta.get_field(self.column)
        return [known, unknown] if field.null or field.generated else [known]

    def up_to(self, rows: QuerySet[Any], value: Any, pk: int) -> QuerySet[Any]:
        """The rows that are not `after`."""
        if value is None:
            return rows.filter(Q(**{f"{self.column}__isnull": False}) | Q(pk__gte=pk))
        sooner = Q(**{f"{self.column}__gt": value}) | Q(**{self.column: value}, pk__gte=pk)
        return rows.filter(sooner, **{f"{self.column}__gte": value})


LAST_ADDED = Order("added", "pk", int)


@dataclass(frozen=True)
class Place:
    """Where a page ends: after the row with `value` and `pk`.

    In an order that edits move, the list was begun at `since`, and the first `count` keys of those kept as `shown`
    were shown up to here. `shown` is empty where none are kept.
    """

    value: Any
    pk: int
    since: datetime
    shown: str = ""
    count: int = 0

    @classmethod
    def parse(cls, cursor: str, order: Order) -> "Place":
        """Raises BadInputError."""
        value, pk, *rest = decode(cursor, order.name, 5 if order.edits_move else 2)
        try:
            place = cls(order.parse(value), int(pk), timezone.now())
            if rest:
                since, shown, count = rest
                begun = datetime.fromisoformat(since).astimezone(UTC)
                place = cls(place.value, place.pk, begun, str(shown), int(count))
        except (ValueError, TypeError, ArithmeticError, ValidationError) as error:
            raise _no_cursor() from error
        return place

    def encode(self, order: Order) -> str:
        kept = [self.since.isoformat(), self.shown, self.count] if order.edits_move else []
        return encode(order.name, [self.value, self.pk, *kept])


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
    place = Place.parse(after, order) if after is not None else None
    before = _shown_before(place) if place and order.edits_move else []
    risen: list[Any] = []
    try:
        if place is None:
            found = list(ordered[: size + 1])
        else:
            if before:
                risen = _risen(order.up_to(ordered, place.value, place.pk), place, before, size)
            found = list(risen)
            known = [*before, *(row.pk for row in risen)]
            for part in order.after(ordered, place.value, place.pk):
                if len(found) <= size:
                    found += part.exclude(pk__in=known)[: size + 1 - len(found)]
    except (ValueError, TypeError, ArithmeticError, ValidationError) as error:
        raise _no_cursor() from error
    shown = found[:size]
    keys = [*before, *(row.pk for row in shown)]
    begun = place is None or bool(before)
    kept = _keep_shown(keys) if order.edits_move and shown and begun and len(keys) <= MOST_SHOWN else ""
    since = place.since if place else timezone.now()
    cursors = []
    for number, row in enumerate(shown, 1):
        # After one that rose, the list goes on from where it was.
        value, pk = (
            (place.value, place.pk)
            if place and number <= len(risen)
            else (getattr(row, order.column), row.pk)
        )
        cursors.append(Place(value, pk, since, kept, len(before) + number).encode(order))
    expired = place is not None and bool(place.shown and place.count) and not before
    return Page(
        shown, cursors, has_next=len(found) > size, has_previous=after is not None, is_cacheable=not expired
    )


def _risen(rows: QuerySet[Any], place: Place, before: list[int], size: int) -> list[Any]:
    """The rows that an edit took out of the rest of the list, since it was begun."""
    edited = rows.filter(updated_at__gte=place.since - SLACK, created_at__lt=place.since + SLACK)
    return list(edited.exclude(pk__in=before)[: size + 1])


def _keep_shown(keys: list[int]) -> str:
    """Keeps the keys of the rows shown so far, from now on; their name, the same for the same keys."""
    name = hashlib.sha256(np.asarray(keys, "<i8").tobytes()).hexdigest()[:24]
    _shown.put("rows shown", {"name": name}, keys, ttl=settings.CURSOR_TTL)
    return name


def _shown_before(place: Place) -> list[int]:
    """What was shown up to a place; none where it is not kept any more, which is in no cached answer then."""
    if not place.shown:
        return []
    nothing: list[int] = []
    kept = _shown.get_or_compute(
        "rows shown", {"name": place.shown}, tags=(), compute=lambda: Computed(nothing, is_cacheable=False)
    )
    return kept[: place.count]


def _no_cursor() -> BadInputError:
    return bad_field("after", "is no cursor of this list")


def encode(name: str, values: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([name, *values], default=str)).decode().rstrip("=")


def decode(cursor: str, name: str, count: int) -> list[Any]:
    """The `count` values of a cursor of the order `name`. Raises BadInputError."""
    try:
        values = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, orjson.JSONDecodeError, UnicodeEncodeError, ValueError) as error:
        raise _no_cursor() from error
    if (
        not isinstance(values, list)
        or len(values) != count + 1
        or values[0] != name
        or any(isinstance(value, list | dict) for value in values)
    ):
        raise bad_field("after", "is no cursor of this list, or of another order of it")
    return values[1:]
