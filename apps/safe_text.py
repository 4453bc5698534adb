"""Refusal of characters that let a name look like something else: control and bidirectional characters."""

import re
from typing import Any, TypeVar

from django.core.exceptions import ValidationError

ValueT = TypeVar("ValueT")

# C0 and C1 control characters with tab and line breaks, the two separators that end a line, and the marks,
# embeddings, overrides and isolates of bidirectional text. Joiners stay: Persian and emoji need them.
_REFUSED = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def refuse_control_characters(value: ValueT) -> ValueT:
    """Return a name as it is. Raises ValueError if it contains such a character; other types pass."""
    if isinstance(value, str) and not value.isprintable() and (found := _REFUSED.search(value)):
        raise ValueError(
            f"contains the character U+{ord(found[0]):04X} at position {found.start() + 1}, which controls "
            "how text is shown; remove it"
        )
    return value


def escaped(text: str) -> str:
    r"""Return the text as one line for a log: characters that control the output become `\n`, `\u202e`."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


class PlainNamesMixin:
    """A mixin of admin forms whose texts of one line are names without control characters."""

    def _clean_fields(self) -> None:
        super()._clean_fields()  # type: ignore[misc]
        form: Any = self
        for name, value in list(form.cleaned_data.items()):
            if isinstance(value, str) and not _has_lines(form.fields[name]):
                try:
                    refuse_control_characters(value)
                except ValueError as error:
                    form.add_error(name, ValidationError(str(error)))


def _has_lines(field: Any) -> bool:
    return getattr(field.widget, "input_type", None) is None  # a text area has no type of input
