"""What is wrong with an input, in the words of its reader: pydantic's own name classes and regular expressions."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

# The type of a PydanticCustomError whose message names other fields, each in backticks.
NAMES_FIELDS = "names_fields"

LONGEST_SHOWN = 40  # characters of a value that is repeated

_REASONS = {
    "missing": "missing; every row needs one",
    "extra_forbidden": "there is no such field",
    "too_short": "is empty",  # no field asks for more than one character
    "string_too_short": "is empty",
    "too_long": "longer than {max_length:,} characters",
    "string_too_long": "longer than {max_length:,} characters",
}
_NEEDED = {
    "string_type": "text",
    "list_type": "a list",
    "decimal_type": "a number",
    "decimal_parsing": "a number",
    "finite_number": "a number",
    "greater_than_equal": "at least {ge:,}",
    "less_than_equal": "at most {le:,}",
    "less_than": "less than {lt:,}",
    "datetime_type": "a date such as 2026-11-23",
    "datetime_parsing": "a date such as 2026-11-23",
}


@dataclass(frozen=True)
class Refusal:
    """`field` is empty where the input as a whole is wrong."""

    field: str
    reason: str


def refusals(
    error: ValidationError, form: type[BaseModel], *, named: Callable[[str], str] = str
) -> Iterator[Refusal]:
    """All that is wrong with an input of `form`; `named` tells how its reader writes a field's name."""
    for each in error.errors(include_url=False):
        # Behind the field stand the entry of a list, or members of a union, which only the program knows.
        field, *inner = map(str, each["loc"]) if each["loc"] else ("",)
        entry = f"entry {int(inner[0]) + 1}: " if inner and inner[0].isdecimal() else ""
        yield Refusal(named(field), entry + _reason(each, needed(form).get(field, ""), named))


@cache
def needed(form: type[BaseModel]) -> dict[str, str]:
    """For each field that takes few values, or those of one pattern: which, as in "… is needed"."""
    found = {}
    for name, field in form.model_fields.items():
        if field.description:
            found[name] = field.description
        elif field.annotation is bool:
            found[name] = "true or false"
        elif values := [str(member.value) for kind in _enums(field.annotation) for member in kind]:
            found[name] = f"one of {', '.join(values)}"
    return found


def _enums(annotation: Any) -> Iterator[type[Enum]]:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        yield annotation
    for part in get_args(annotation):
        yield from _enums(part)


def _reason(error: Any, what: str, named: Callable[[str], str]) -> str:
    kind, message, context = error["type"], error["msg"], error.get("ctx", {})
    if kind == "value_error":  # a validator's own words
        return str(message.removeprefix("Value error, "))
    if kind == NAMES_FIELDS:
        return re.sub(r"`(\w+)`", lambda match: named(match[1]), message)
    if kind == "too_long" and context.get("field_type") == "List":
        return f"more than {context['max_length']:,} entries"
    if kind in _REASONS:
        return _REASONS[kind].format_map(context)
    what = what or _NEEDED.get(kind, "").format_map(context)
    return (f"{what} is needed" if what else message) + _instead(error["input"])


def _instead(value: Any) -> str:
    shown = repr(value) if isinstance(value, str) else str(value)
    return "" if isinstance(value, dict) or len(shown) > LONGEST_SHOWN + 2 else f", not {shown}"
