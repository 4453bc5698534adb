"""Count rows: exactly up to a bound, by the planner's estimate beyond it."""

from dataclasses import dataclass
from typing import Any

import orjson
from django.db.models import QuerySet

# Nobody pages further, and counting more would cost more than the page.
MAX_EXACT_COUNT = 50_000


@dataclass(frozen=True)
class Count:
    """A number of rows, counted or estimated."""

    rows: int
    is_estimate: bool


def count_rows(rows: QuerySet[Any]) -> Count:
    """Count the rows exactly up to MAX_EXACT_COUNT; beyond it return the estimate of PostgreSQL's planner."""
    exact = rows.order_by()[: MAX_EXACT_COUNT + 1].count()
    if exact <= MAX_EXACT_COUNT:
        return Count(exact, is_estimate=False)
    return Count(max(estimate_rows(rows), exact), is_estimate=True)


def estimate_rows(rows: QuerySet[Any]) -> int:
    """Return how many rows PostgreSQL's planner expects, without counting."""
    [plan] = orjson.loads(rows.order_by().values("pk").explain(format="json"))
    return int(plan["Plan"]["Plan Rows"])
