"""Count the years that the jobs of a résumé cover: of JSON Résumé, Europass and HR-XML."""

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from apps.records.normalizing.unknown import is_unknown

_MONTH = re.compile(r"((?:19|20)\d{2})(?:-?(0[1-9]|1[0-2]))?(?!\d{3})")
# Keys in lower case: of the object that holds both dates, of each date, and of a date that is an object.
_PERIODS = ("period", "employmentperiod")
_STARTS = ("startdate", "from", "start")
_ENDS = ("enddate", "to", "end")
_DATES = ("formatteddatetime", "anydate", "yearmonth", "year", "stringdate", "#text")
_NOW = frozenset({"current", "present", "now", "today", "ongoing"})


def years_of_jobs(jobs: Iterable[Any], *, now: dt.datetime) -> Decimal | None:
    """Return the years that jobs cover, each month once; None if no job tells its start.

    A job without an end goes on until `now`. One whose dates cannot be read does not count. A date without a
    month is in June.
    """
    months: set[int] = set()
    this_month = now.year * 12 + now.month
    for job in jobs:
        if isinstance(job, Mapping) and (span := _span(_lower(job), this_month)):
            months.update(range(span[0], min(span[1], this_month)))
    return round(Decimal(len(months)) / 12, 1) if months else None


def _span(job: Mapping[str, Any], this_month: int) -> tuple[int, int] | None:
    for key in _PERIODS:
        if isinstance(job.get(key), Mapping):
            return _span(_lower(job[key]), this_month)
    start, end = (next((job[key] for key in keys if key in job), None) for keys in (_STARTS, _ENDS))
    first, last = _month(start), _month(end)
    if first is None or (last is None and not _goes_on(end)):
        return None
    return first, last if last is not None else this_month


def _goes_on(end: Any) -> bool:
    return is_unknown(end) or (isinstance(end, str) and end.strip().casefold() in _NOW)


def _month(value: Any) -> int | None:
    """Months since the year 0."""
    if isinstance(value, Mapping):
        parts = {key.removeprefix("@"): part for key, part in _lower(value).items()}
        if "month" in parts:  # {"Year": 2020, "Month": 3}, or year="2020" month="--03" of XML Schema
            value = f"{parts.get('year')}-{str(parts['month']).strip('-'):0>2}"
        else:
            value = next((parts[key] for key in _DATES if key in parts), None)
    match = _MONTH.match(str(value).strip()) if value is not None else None
    return int(match[1]) * 12 + int(match[2] or 6) if match else None


def _lower(value: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key).lower(): part for key, part in value.items()}
