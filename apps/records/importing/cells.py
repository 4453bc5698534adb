"""Read the mapped cells of one row into values for a record's form.

A cell that cannot be read is left out; the rest of its row is kept.
"""

import datetime as dt
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from apps.records.normalizing.choices import (
    parse_boolean,
    parse_employment_type,
    parse_english_level,
    parse_experience,
)
from apps.records.normalizing.dates import Order, parse_moment
from apps.records.normalizing.errors import UnreadableCellError
from apps.records.normalizing.folding import fold
from apps.records.normalizing.gazetteer import country_code, language_codes
from apps.records.normalizing.jobs import years_of_jobs
from apps.records.normalizing.language import detect_language
from apps.records.normalizing.lists import split_skills
from apps.records.normalizing.markup import is_html, to_markdown
from apps.records.normalizing.money import MAX_TEXT as MAX_SALARY_TEXT
from apps.records.normalizing.money import Salary, parse_salary
from apps.records.normalizing.places import Place, parse_places
from apps.records.normalizing.unknown import NULL_WORDS, is_unknown

MAX_EXTERNAL_ID = 200  # characters; a longer one is cut and ends with its hash
MAX_ITEMS = 1_000  # of a list that becomes a text


@dataclass(frozen=True)
class CellOptions:
    """How to read cells: `now` dates "2 days ago", `date_order` orders day and month in numeric dates."""

    now: dt.datetime
    time_zone: dt.tzinfo = field(default_factory=lambda: ZoneInfo("UTC"))
    date_order: Order | None = None
    null_words: frozenset[str] = NULL_WORDS
    detects_language: bool = True


@dataclass(frozen=True)
class UnreadCell:
    """A cell that could not be read, and why."""

    field: str
    reason: str


Values = dict[str, Any]
Reader = Callable[[Any, Values, CellOptions], Values]
# Signs that control how text is shown, and mean nothing in a name; NUL stays, since PostgreSQL takes none.
_CONTROL = re.compile("[\x01-\x08\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
WHOLE = frozenset({"location", "salary"})  # cells that stand for several fields
# In these currencies, a smaller amount without a period is hardly one for a year.
MIN_YEARLY = 10_000
YEARLY_CURRENCIES = frozenset({"", "USD", "EUR", "GBP", "CHF", "CAD", "AUD", "NZD", "SGD"})
_CELL_TYPES = frozenset({str, float, list, dict, type(None)})
_ONE = ""  # key of the value where a reader fills just the field that it reads


def read_cells(mapped: Mapping[str, Any], options: CellOptions) -> tuple[Values, list[UnreadCell]]:
    """Return the row's values by field of the form, and what could not be read.

    A field that has no cell, or one that says "unknown", is not among the values: nothing is known of it,
    which is not the same as empty. `mapped` may hold `location` and `salary`, which become several fields.
    """
    values: Values = {}
    unread: list[UnreadCell] = []
    for name in _in_turn(tuple(mapped)):
        raw = mapped[name]
        # A mapping that gives a value means it, even "none"; such a value is a subclass of str.
        if type(raw) in _CELL_TYPES and is_unknown(raw, words=options.null_words):
            continue
        try:
            found = READERS.get(name, _line)(raw, values, options)
        except UnreadableCellError as error:
            unread.append(UnreadCell(name, str(error)))
            if name == "salary" and isinstance(raw, str):
                values["salary_text"] = _short(raw, MAX_SALARY_TEXT)
            continue
        _merge(values, name, found)
    _order_salary(values)
    if (
        options.detects_language
        and "language" not in values
        and (language := detect_language(_prose(values)))
    ):
        values["language"] = language
    return values, unread


def _merge(values: Values, name: str, found: Values) -> None:
    """Add what a cell says. A whole place or salary also empties its other parts that the cell lacks."""
    for key, value in found.items():
        if value is not None and value != "":
            values[key or name] = value
        elif name in WHOLE:
            values.setdefault(key, value)


def _prose(values: Values) -> str:
    """The longest text first: what language a row is in shows in its sentences."""
    names = ("description", "resume", "looking_for", "title", "headline")
    return " ".join(values[name] for name in names if values.get(name))


def text_of(raw: Any) -> str:
    """Return the text in a cell: the name of an object, the members of a list as bullets.

    Raises UnreadableCellError for an object without a name, a list over MAX_ITEMS, or bytes not in UTF-8.
    """
    if isinstance(raw, str):
        return raw
    if isinstance(raw, Mapping):
        return _text_of_object(raw)
    if isinstance(raw, list | tuple):
        return _text_of_list(raw)
    return _text_of_scalar(raw)


def _text_of_scalar(raw: Any) -> str:
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, float) and raw.is_integer():
        return str(int(raw))
    if isinstance(raw, bytes):
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise UnreadableCellError(f"not UTF-8 at byte {error.start + 1}") from error
    return raw.isoformat() if isinstance(raw, dt.date) else str(raw)


def _text_of_object(raw: Mapping[Any, Any]) -> str:
    for key in (
        "name",
        "label",
        "title",
        "text",
        "value",
        "content",
        "displayName",
        "#text",
        "Label",
        "Name",
    ):
        if isinstance(raw.get(key), str | int | float):
            return text_of(raw[key])
    keys = ", ".join(map(str, list(raw)[:4]))
    raise UnreadableCellError(
        f"text is needed, not an object with {keys}; name one of them, such as column.name"
    )


def _text_of_list(raw: Sequence[Any]) -> str:
    if len(raw) > MAX_ITEMS:
        raise UnreadableCellError(f"a list of at most {MAX_ITEMS:,} entries is possible, not {len(raw):,}")
    texts = [text for each in raw if (text := text_of(each).strip())]
    return "\n".join(f"- {text}" for text in texts) if len(texts) > 1 else "".join(texts)


def _line(raw: Any, values: Values, options: CellOptions) -> Values:
    """One line of plain text."""
    if isinstance(raw, list | tuple):
        raw = next((each for each in raw if not is_unknown(each, words=options.null_words)), "")
    text = text_of(raw)
    text = to_markdown(text) if is_html(text) else text
    text = " ".join(_CONTROL.sub("", text).split())
    return {_ONE: "" if is_unknown(text, words=options.null_words) else text}


def _text(raw: Any, values: Values, options: CellOptions) -> Values:
    """A text of several lines, as Markdown."""
    return {_ONE: to_markdown(text_of(raw)).strip()}


def _external_id(raw: Any, values: Values, options: CellOptions) -> Values:
    """A number that a spreadsheet made a decimal is the number; what is too long ends with its hash."""
    text = text_of(raw).strip()
    if re.fullmatch(r"\d+\.0+", text):
        text = text.partition(".")[0]
    if len(text) > MAX_EXTERNAL_ID:
        digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        text = f"{text[: MAX_EXTERNAL_ID - len(digest) - 1]}#{digest}"
    return {_ONE: text}


def _location(raw: Any, values: Values, options: CellOptions) -> Values:
    found = parse_places(raw)
    result: Values = {}
    if found.places:
        first = found.places[0]
        result = {"city": first.city, "region": first.region, "country": first.country}
    if found.places and (len(found.places) > 1 or "places" not in values):
        result["places"] = [_place(each) for each in found.places] if len(found.places) > 1 else []
    if found.remote is not None:
        result["remote"] = found.remote
    return result


def _place(place: Place) -> dict[str, str]:
    return {"city": place.city, "region": place.region, "country": place.country}


def _country(raw: Any, values: Values, options: CellOptions) -> Values:
    name = _line(raw, values, options)[_ONE]
    return {_ONE: country_code(name) or name}


def _remote(raw: Any, values: Values, options: CellOptions) -> Values:
    if isinstance(raw, str):
        folded = fold(raw).replace("_", " ")
        if (
            re.search(r"hybrid|on[ -]?site|office|no remote|not remote|vor ort", folded)
            and "home" not in folded
        ):
            return {_ONE: False}
        if re.search(r"remote|home|telecommut|재택|원격|リモート|anywhere|distributed", folded):
            return {_ONE: True}
    return {_ONE: parse_boolean(raw)}


def _date(raw: Any, values: Values, options: CellOptions) -> Values:
    moment = parse_moment(_first(raw), now=options.now, order=options.date_order)
    return {_ONE: moment.at if moment else None}


def _closing_date(raw: Any, values: Values, options: CellOptions) -> Values:
    """A posting that closes on a day is open to the end of that day where the board is."""
    moment = parse_moment(_first(raw), now=options.now, order=options.date_order)
    if moment is None or moment.has_time:
        return {_ONE: moment.at if moment else None}
    last = dt.time(23, 59, 59, 999_999, tzinfo=options.time_zone)
    return {_ONE: dt.datetime.combine(moment.at.date(), last)}


def _first(raw: Any) -> Any:
    return raw[0] if isinstance(raw, list) and raw else raw


_MINIMUM = ("min", "minValue", "minimum", "from", "low", "lower", "salaryMin", "min_value")
_MAXIMUM = ("max", "maxValue", "maximum", "to", "high", "upper", "salaryMax", "max_value")
_CURRENCY = ("currency", "currencyCode", "currency_code", "salaryCurrency")
_PERIOD = ("unitText", "interval", "period", "unit", "per", "frequency")


def _salary(raw: Any, values: Values, options: CellOptions) -> Values:
    """Read a text such as "€45.000 – 60.000 p.a.", a number, or an object of schema.org or a job board."""
    raw = _first(raw)
    if isinstance(raw, Mapping):
        return _salary_of_mapping(raw, values, options)
    text = " ".join(text_of(raw).split())
    salary = parse_salary(text, country=values.get("country", ""))
    if salary is None:
        return {"salary_text": _short(text, MAX_SALARY_TEXT)}
    amount = salary.minimum if salary.minimum is not None else salary.maximum
    is_stated = bool(salary.period or values.get("salary_period"))
    if not is_stated and amount is not None and amount < MIN_YEARLY and salary.currency in YEARLY_CURRENCIES:
        raise UnreadableCellError(
            f"{text[:40]!r} says no period; write 20 per hour, or name a column for salary_period"
        )
    return {"salary_text": _short(text, MAX_SALARY_TEXT)} | _salary_values(salary)


def _salary_of_mapping(raw: Mapping[str, Any], values: Values, options: CellOptions) -> Values:
    inner = raw.get("value")
    flat = {**raw, **inner} if isinstance(inner, Mapping) else dict(raw)
    low, high = (
        next((flat[key] for key in keys if not is_unknown(flat.get(key))), None)
        for keys in (_MINIMUM, _MAXIMUM)
    )
    if low is None and high is None:
        low = flat.get("value", flat.get("amount"))
    if low is None and high is None:
        return _salary(text_of(raw), values, options)
    words = [
        str(flat[key]) for keys in (_CURRENCY, _PERIOD) for key in keys if isinstance(flat.get(key), str)
    ]
    amounts = " - ".join(text_of(each) for each in (low, high) if each is not None)
    text = " ".join([amounts, *(re.sub(r"[-_]", " ", word).replace("per ", "") for word in words)])
    salary = parse_salary(text, country=values.get("country", ""))
    found = _salary_values(salary) if salary else {}
    if low is None and "salary_min" in found:
        found["salary_max"] = found.pop("salary_min")
    return found


def _salary_values(salary: Salary) -> Values:
    found: Values = {
        "salary_min": salary.minimum,
        "salary_max": salary.maximum,
        "salary_currency": salary.currency,
    }
    return found | {"salary_period": salary.period} if salary.period else found


def _salary_min(raw: Any, values: Values, options: CellOptions) -> Values:
    """The lower end in a column of its own; it may carry a currency, a period, or the whole range."""
    salary = parse_salary(text_of(raw), country=values.get("country", ""))
    if salary is None:
        return {}
    found = _salary_values(salary)
    if salary.minimum is None:
        found["salary_min"] = found.pop("salary_max")
    return found


def _salary_max(raw: Any, values: Values, options: CellOptions) -> Values:
    salary = parse_salary(text_of(raw), country=values.get("country", ""))
    if salary is None:
        return {}
    found = _salary_values(salary)
    if salary.maximum is None:
        found["salary_max"] = salary.minimum
    return {key: value for key, value in found.items() if key != "salary_min"}


def _order_salary(values: Values) -> None:
    """Ends of a range that were given the wrong way round are exchanged; an amount of nothing is none."""
    for name in ("salary_min", "salary_max"):
        if values.get(name) == 0:
            del values[name]
    low, high = values.get("salary_min"), values.get("salary_max")
    if low is not None and high is not None and low > high:
        values["salary_min"], values["salary_max"] = high, low


def _currency(raw: Any, values: Values, options: CellOptions) -> Values:
    text = text_of(raw).strip()
    if re.fullmatch(r"[A-Za-z]{3}", text):
        return {_ONE: text.upper()}
    salary = parse_salary(f"1 {text}", country=values.get("country", ""))
    if salary is None or not salary.currency:
        raise UnreadableCellError(f"a currency such as EUR is needed, not {text[:40]!r}")
    return {_ONE: salary.currency}


def _period(raw: Any, values: Values, options: CellOptions) -> Values:
    text = text_of(raw).strip()
    salary = parse_salary(f"1 {re.sub(r'[-_]', ' ', text)}")
    if salary is None or not salary.period:
        raise UnreadableCellError(f"one of hour, day, week, month, year is needed, not {text[:40]!r}")
    return {_ONE: salary.period}


_OPEN = frozenset(
    [
        "open", "active", "published", "live", "online", "new", "true", "yes", "1", "available", "offen",
        "aktiv", "모집중", "진행중", "채용중", "募集中",
    ]
)  # fmt: skip
_CLOSED = frozenset(
    [
        "closed", "inactive", "expired", "archived", "filled", "unpublished", "offline", "draft", "paused",
        "deleted", "cancelled", "canceled", "on-hold", "hold", "false", "no", "0", "geschlossen",
        "abgelaufen", "besetzt", "inaktiv", "마감", "종료", "募集終了",
    ]
)  # fmt: skip


def _status(raw: Any, values: Values, options: CellOptions) -> Values:
    folded = fold(text_of(raw)).replace("_", "-")
    if folded in _OPEN:
        return {_ONE: "open"}
    if folded in _CLOSED:
        return {_ONE: "closed"}
    raise UnreadableCellError(f"open or closed is needed, not {folded[:40]!r}")


def _language(raw: Any, values: Values, options: CellOptions) -> Values:
    text = text_of(raw).strip().replace("_", "-")
    if match := re.fullmatch(r"([A-Za-z]{2,3})(-[A-Za-z]{2,4})?", text):
        return {_ONE: match[1].lower() + (match[2] or "")}
    code = language_codes().get(fold(text))
    if code is None:
        raise UnreadableCellError(f"a language such as en or pt-BR is needed, not {text[:40]!r}")
    return {_ONE: code}


def _experience(raw: Any, values: Values, options: CellOptions) -> Values:
    jobs = raw if isinstance(raw, list) else [raw]
    if any(isinstance(each, Mapping) for each in jobs):
        return {_ONE: years_of_jobs(jobs, now=options.now)}
    return {_ONE: parse_experience(_first(raw)).minimum}


def _skills(raw: Any, values: Values, options: CellOptions) -> Values:
    return {_ONE: [_CONTROL.sub("", name) for name in split_skills(raw)] or None}


def _employment_type(raw: Any, values: Values, options: CellOptions) -> Values:
    return {_ONE: parse_employment_type(raw)}


def _english_level(raw: Any, values: Values, options: CellOptions) -> Values:
    is_of_languages = isinstance(raw, Mapping) or (
        isinstance(raw, list) and (len(raw) > 1 or isinstance(raw[0], Mapping))
    )
    return {_ONE: parse_english_level(raw if is_of_languages else _first(raw))}


def _short(text: str, characters: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= characters else text[: characters - 1] + "…"


READERS: dict[str, Reader] = {
    "external_id": _external_id,
    "description": _text,
    "resume": _text,
    "looking_for": _text,
    "location": _location,
    "city": _location,  # a column of that name may hold a whole place, several, or "Remote"
    "country": _country,
    "remote": _remote,
    "published_at": _date,
    "closes_at": _closing_date,
    "salary": _salary,
    "salary_min": _salary_min,
    "salary_max": _salary_max,
    "salary_currency": _currency,
    "salary_period": _period,
    "status": _status,
    "language": _language,
    "experience_years": _experience,
    "english_level": _english_level,
    "employment_type": _employment_type,
    "skills": _skills,
}


_TURNS = {"location": 0, "city": 1, "region": 1, "country": 1, "salary": 3, "salary_min": 4, "salary_max": 4}


@lru_cache(maxsize=1_000)  # the rows of a file have the same cells
def _in_turn(names: tuple[str, ...]) -> tuple[str, ...]:
    """In which order fields are read: places before their parts, which override; money after its country."""
    return tuple(sorted(names, key=lambda name: (_TURNS.get(name, 2), name)))
