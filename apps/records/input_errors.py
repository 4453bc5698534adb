"""Describe the faults of an input by field: pydantic's own messages name classes and regular expressions."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

# The type of a PydanticCustomError whose message names other fields, each in backticks.
NAMES_FIELDS = "names_fields"

MAX_SHOWN_CHARACTERS = 40  # of a rejected value that the reason repeats

_REASONS = {
    "missing": "missing; every row needs one",
    "extra_forbidden": "unknown field",
    "too_short": "is empty",  # no field asks for more than one character
    "string_too_short": "is empty",
    "too_long": "longer than {max_length:,} characters",
    "string_too_long": "longer than {max_length:,} characters",
}
_EXPECTED = {
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
class InputError:
    """One fault of an input: the field, empty where the input as a whole is wrong, and the reason."""

    field: str
    reason: str


def input_errors(
    error: ValidationError, form: type[BaseModel], *, named: Callable[[str], str] = str
) -> Iterator[InputError]:
    """Yield every fault of an input of `form`. `named` turns a field's name into the one its reader uses."""
    for each in error.errors(include_url=False):
        # After the field comes the index of a list entry, or the member of a union, which no reader knows.
        field, *inner = map(str, each["loc"]) if each["loc"] else ("",)
        entry = f"entry {int(inner[0]) + 1}: " if inner and inner[0].isdecimal() else ""
        yield InputError(named(field), entry + _reason(each, expected_values(form).get(field, ""), named))


@cache
def expected_values(form: type[BaseModel]) -> dict[str, str]:
    """Describe what each restricted field takes, to follow "must be": such as `one of open, closed`."""
    described = {}
    for name, field in form.model_fields.items():
        if field.description:
            described[name] = field.description
        elif field.annotation is bool:
            described[name] = "true or false"
        elif values := [str(member.value) for kind in _enums(field.annotation) for member in kind]:
            described[name] = f"one of {', '.join(values)}"
    return described


def _enums(annotation: Any) -> Iterator[type[Enum]]:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        yield annotation
    for part in get_args(annotation):
        yield from _enums(part)


def _reason(error: Any, expected: str, named: Callable[[str], str]) -> str:
    kind, message, context = error["type"], error["msg"], error.get("ctx", {})
    if kind == "value_error":  # the message of one of our own validators
        return str(message.removeprefix("Value error, "))
    if kind == NAMES_FIELDS:
        return re.sub(r"`(\w+)`", lambda match: named(match[1]), message)
    if kind == "too_long" and context.get("field_type") == "List":
        return f"more than {context['max_length']:,} entries"
    if kind in _REASONS:
        return _REASONS[kind].format_map(context)
    expected = expected or _EXPECTED.get(kind, "").format_map(context)
    return (f"must be {expected}" if expected else message) + _but_is(error["input"])


def _but_is(value: Any) -> str:
    shown = repr(value) if isinstance(value, str) else str(value)
    return "" if isinstance(value, dict) or len(shown) > MAX_SHOWN_CHARACTERS + 2 else f", not {shown}"
