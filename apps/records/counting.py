"""Counting rows, exactly as far as that is cheap."""

from dataclasses import dataclass
from typing import Any

import orjson
from django.db.models import QuerySet

# Further than that nobody pages, and counting would cost more than the page.
EXACT_UP_TO = 50_000


@dataclass(frozen=True)
class Count:
    """A number of rows, counted or estimated."""

    rows: int
    is_estimate: bool


def counted(rows: QuerySet[Any]) -> Count:
    """How many rows there are: exactly up to EXACT_UP_TO, beyond it as PostgreSQL's planner estimates."""
    exact = rows.order_by()[: EXACT_UP_TO + 1].count()
    if exact <= EXACT_UP_TO:
        return Count(exact, is_estimate=False)
    return Count(max(estimated(rows), exact), is_estimate=True)


def estimated(rows: QuerySet[Any]) -> int:
    """How many rows PostgreSQL's planner expects: known at once, however many there are."""
    [plan] = orjson.loads(rows.order_by().values("pk").explain(format="json"))
    return int(plan["Plan"]["Plan Rows"])
