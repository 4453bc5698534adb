"""Read dates: ISO, epochs, spreadsheet days, day and month in either order, month names, and "2 days ago"."""

import datetime as dt
import email.utils
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Literal

from babel import Locale

from apps.records.normalizing.errors import UnreadableCellError
from apps.records.normalizing.folding import fold

# Postings appear and close in these years; another year is a misread number, such as an epoch of 0.
MIN_YEAR, MAX_YEAR = 1990, 2100
MAX_TEXT = 64  # characters
Order = Literal["dmy", "mdy"]

EXAMPLE = "2026-11-23, 23.11.2026 or 2026-11-23T08:00:00+01:00"
_SPREADSHEET_EPOCH = dt.datetime(1899, 12, 30, tzinfo=dt.UTC)
_SPREADSHEET_DAYS = range(32_874, 73_415)  # 1990 to 2100
_TIME = r"(?:[T,\s]+(?:at\s+)?(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?\s*(?P<half>[ap]m)?)?"
_NUMERIC = re.compile(
    r"(?P<a>\d{1,4})\s*[./\-년年]\s*(?P<b>\d{1,2})\s*[./\-월月]\s*(?P<c>\d{2,4})\s*[.일日]?"
    rf"{_TIME}\s*(?:z|utc|gmt)?"
)
_NAMED = re.compile(
    r"(?:[^\W\d_]+\.?,?\s+)?(?:(?P<day>\d{1,2})(?:st|nd|rd|th|\.)?[\s/-]+(?:de\s+|of\s+)?(?P<month>[^\W\d_]+)\.?,?"
    r"|(?P<month2>[^\W\d_]+)\.?\s+(?P<day2>\d{1,2})(?:st|nd|rd|th)?,?)[\s/-]+(?:de\s+|of\s+)?(?P<year>\d{4})"
    rf"{_TIME}\s*(?:z|utc|gmt)?"
)
# Offsets in hours of the abbreviations that mean one zone.
_ZONES = {
    "UTC": 0, "GMT": 0, "EST": -5, "EDT": -4, "CDT": -5, "MDT": -6, "PST": -8, "PDT": -7, "CET": 1, "CEST": 2,
    "KST": 9, "JST": 9,
}  # fmt: skip
_ZONE = re.compile(rf"\s*(?:{'|'.join(_ZONES)})$")
_UNITS = {
    "minute": r"minutes?|mins?|minuten?|분|分",
    "hour": r"hours?|hrs?|h|stunden?|heures?|horas?|시간|時間",
    "day": r"days?|d|tage?n?|jours?|dias?|일|日",
    "week": r"weeks?|wks?|w|wochen?|semaines?|semanas?|주|週間?",
    "month": r"months?|mos?|monate?n?|mois|mes(?:es)?|개월|달|か月|ヶ月",
}
_AGO = re.compile(
    r"(?:posted|reposted|active|updated|added|vor|il y a|hace)?:?\s*"
    r"(?:about|over|more than|uber|mehr als)?\s*"
    r"(?P<count>\d{1,3}|an?|one|ein(?:em|er)?)\s*(?P<more>\+)?\s*"
    rf"(?:{'|'.join(f'(?P<{name}>{words})' for name, words in _UNITS.items())})\s*\+?\s*(?:ago|전|前)?"
)
_TODAY = re.compile(
    r"(?:posted |active )?(?:today|just now|just posted|now|heute|aujourd'hui|hoy|오늘|방금|今日|本日)"
    r"(?: at \S+(?: [ap]m)?)?"
)
_YESTERDAY = re.compile(
    r"(?:posted |active )?(?:yesterday|gestern|hier|ayer|어제|昨日)(?: at \S+(?: [ap]m)?)?"
)
_NO_DATE = re.compile(
    r"0{4}[-/.]00[-/.]00(?:[t ].*)?|00[-/.]00[-/.]0{4}|0|0001-01-01.*|9999-12-31.*"
    r"|1970-01-01(?:t00:00(?::00)?(?:\.0+)?(?:z|\+00:00)?)?"
)
_MONTH_LOCALES = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "sv")


@dataclass(frozen=True)
class Moment:
    """A point in time, in UTC unless the cell names a zone. `has_time` is False for a day alone."""

    at: dt.datetime
    has_time: bool


def parse_moment(value: object, *, now: dt.datetime, order: Order | None = None) -> Moment | None:
    """Read a date or time. `order` decides dates such as 11/03/2026; `now` is what "2 days ago" counts from.

    Returns None where the value says that there is no date (0, 0000-00-00, 1970-01-01, 9999-12-31). Raises
    UnreadableCellError where it is none, where its year is not between MIN_YEAR and MAX_YEAR, or where day
    and month are ambiguous.
    """
    if isinstance(value, dt.datetime):
        return _plausible(Moment(value if value.tzinfo else value.replace(tzinfo=dt.UTC), has_time=True))
    if isinstance(value, dt.date):
        return _plausible(
            Moment(dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC), has_time=False)
        )
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _of_number(float(value))
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise UnreadableCellError(f"a date such as {EXAMPLE} is needed")
    return _of_text(value, now, order)


@lru_cache(maxsize=20_000)  # feeds name few days, many times
def _of_text(value: str, now: dt.datetime, order: Order | None) -> Moment | None:
    text = value.strip()
    folded = fold(text)
    if _NO_DATE.fullmatch(folded):
        return None
    if re.fullmatch(r"\d+(?:\.\d+)?(?:[eE]\+?\d{1,2})?", text) and not re.fullmatch(
        r"\d{1,2}\.\d{1,2}", text
    ):
        return _of_number(float(text))
    found = (
        _iso(text)
        or _numeric(folded, text, order)
        or _rfc_2822(text)
        or _named(folded)
        or _relative(folded, now)
    )
    if found is None:
        raise UnreadableCellError(f"{text[:40]!r} is no date; write {EXAMPLE}")
    return _plausible(found)


def infer_order(values: Iterable[Any]) -> Order | None:
    """Return whether the day or the month comes first in the dates of a column; None if all fit both.

    Raises UnreadableCellError where some can only be the one and some only the other.
    """
    seen: set[Order] = set()
    for value in values:
        match = _NUMERIC.fullmatch(fold(value)) if isinstance(value, str) and len(value) <= MAX_TEXT else None
        if match is None or len(match["a"]) > 2:
            continue
        first, second = int(match["a"]), int(match["b"])
        if "." in value[: match.end("b")]:
            continue  # with full stops the day comes first everywhere
        if first > 12 >= second:
            seen.add("dmy")
        elif second > 12 >= first:
            seen.add("mdy")
    if len(seen) > 1:
        raise UnreadableCellError(
            "some dates begin with the day and others with the month; say which with --dates dmy or mdy"
        )
    return seen.pop() if seen else None


def _plausible(moment: Moment) -> Moment:
    if not MIN_YEAR <= moment.at.year <= MAX_YEAR:
        raise UnreadableCellError(
            f"the year {moment.at.year} is not between {MIN_YEAR} and {MAX_YEAR}; write {EXAMPLE}"
        )
    return moment


def _of_number(value: float) -> Moment | None:
    """Epoch seconds or milliseconds, YYYYMMDD, or a spreadsheet's day number, told by their ranges."""
    if value == 0:
        return None
    whole = int(value)
    if value == whole and 19_000_101 <= whole <= 21_001_231:
        year, month, day = whole // 10_000, whole // 100 % 100, whole % 100
        return _plausible(Moment(_datetime(year, month, day), has_time=False))
    if whole in _SPREADSHEET_DAYS:
        return Moment(_SPREADSHEET_EPOCH + dt.timedelta(days=value), has_time=value != whole)
    for unit in (1, 1_000, 1_000_000):
        if 631_152_000 <= value / unit < 4_133_980_800:  # 1990 to 2100
            return Moment(dt.datetime.fromtimestamp(value / unit, tz=dt.UTC), has_time=True)
    raise UnreadableCellError(f"{value:g} is no date; write {EXAMPLE}")


def _datetime(
    year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0
) -> dt.datetime:
    try:
        return dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC)
    except ValueError as error:
        raise UnreadableCellError(f"{year}-{month}-{day} is no date: {error}") from error


def _iso(text: str) -> Moment | None:
    if not re.match(r"\d{4}-?\d{2}-?\d{2}|\d{4}-W", text):
        return None
    try:
        at = dt.datetime.fromisoformat(_ZONE.sub(_offset, text))
    except ValueError:
        return None
    return Moment(at if at.tzinfo else at.replace(tzinfo=dt.UTC), has_time=len(text) > len("2026-11-23"))


def _offset(zone: re.Match[str]) -> str:
    return f"{_ZONES[zone[0].strip()]:+03d}:00"


def _numeric(folded: str, text: str, order: Order | None) -> Moment | None:
    match = _NUMERIC.fullmatch(folded)
    if match is None:
        return None
    first, second, third = int(match["a"]), int(match["b"]), int(match["c"])
    if len(match["a"]) == 4:
        year, month, day = first, second, third
    elif len(match["a"]) <= 2 and len(match["c"]) in (2, 4):
        year = third if len(match["c"]) == 4 else 2000 + third
        dotted = "." in folded[: match.end("b")]
        if first > 12 or dotted or (order == "dmy" and second <= 12):
            day, month = first, second
        elif second > 12 or order == "mdy" or first == second:
            month, day = first, second
        else:
            raise UnreadableCellError(
                f"{text[:20]!r} may be two dates; say which with --dates dmy or --dates mdy"
            )
    else:
        return None
    return _at(year, month, day, match)


def _at(year: int, month: int, day: int, match: re.Match[str]) -> Moment:
    """A day at the time of day that `match` found, if any."""
    time = [int(match[part] or 0) for part in ("hour", "minute", "second")]
    if match["half"]:
        time[0] = time[0] % 12 + (12 if match["half"] == "pm" else 0)
    return Moment(_datetime(year, month, day, *time), has_time=match["hour"] is not None)


def _rfc_2822(text: str) -> Moment | None:
    if not re.match(r"(?:[A-Za-z]{3},?\s)?\s*\d{1,2}\s[A-Za-z]{3}\s\d{4}\s\d", text):
        return None
    try:
        at = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return Moment(at if at.tzinfo else at.replace(tzinfo=dt.UTC), has_time=True)


def _named(folded: str) -> Moment | None:
    match = _NAMED.fullmatch(folded)
    if match is None:
        return None
    month = _month_names().get(match["month"] or match["month2"])
    if month is None:
        return None
    return _at(int(match["year"]), month, int(match["day"] or match["day2"]), match)


@cache
def _month_names() -> dict[str, int]:
    """Full and short names of months, folded, in the languages that feeds come in (from CLDR)."""
    names: dict[str, int] = {}
    for code in _MONTH_LOCALES:
        locale = Locale.parse(code)
        for context in ("format", "stand-alone"):
            for width in ("wide", "abbreviated"):
                for number, name in locale.months[context][width].items():
                    names.setdefault(fold(name).rstrip("."), number)
    return names


def _relative(folded: str, now: dt.datetime) -> Moment | None:
    """Days before `now`. "30+ days ago" is at least that long ago, and stored as that."""
    if _TODAY.fullmatch(folded):
        return _day(now, 0)
    if _YESTERDAY.fullmatch(folded):
        return _day(now, 1)
    match = _AGO.fullmatch(folded)
    if match is None or not re.search(r"ago|전|前|vor|il y a|hace|posted|^\d+\+?\s*(?:d|h|w|mo)$", folded):
        return None
    count = int(match["count"]) if match["count"].isdecimal() else 1
    days = {"minute": 0, "hour": count / 24, "day": count, "week": 7 * count, "month": 30 * count}[
        str(match.lastgroup)
    ]
    return _day(now, days)


def _day(now: dt.datetime, days: float) -> Moment:
    at = now - dt.timedelta(days=days)
    return Moment(at.replace(hour=0, minute=0, second=0, microsecond=0), has_time=False)
