"""GraphQL inputs handed to the validated forms of the apps."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from apps.api.errors import bad_field, bad_input
from apps.records.inputs import RecordInput
from apps.skills.services import NAME_LENGTH

MOST_NAMES = 200  # in one argument

FormT = TypeVar("FormT", bound=RecordInput)


def validated(form: type[FormT], given: Mapping[str, Any], *, argument: str) -> FormT:
    """The form filled with what was given. Raises BadInputError, naming the field as the client did."""
    values = {name: getattr(value, "value", value) for name, value in given.items() if value is not None}
    try:
        return form.model_validate(values)
    except ValidationError as error:
        raise bad_input(error, form, argument=argument) from error


def bounded(names: Sequence[str] | None, *, argument: str, most: int = MOST_NAMES) -> list[str]:
    """A list of names without blank ones, empty where none was given.

    Raises BadInputError for more than `most` of them, and for one that is too long or holds a NUL.
    """
    given = list(names or ())
    if len(given) > most:
        raise bad_field(argument, f"{len(given):,} are too many, at most {most}", limit=argument, bound=most)
    plain = (
        plain_text(name, argument=f"{argument}[{at}]", longest=NAME_LENGTH) for at, name in enumerate(given)
    )
    return [name for name in plain if name]


def plain_text(text: str | None, *, argument: str, longest: int) -> str:
    """The text without blanks around it. Raises BadInputError where it is too long or holds a NUL."""
    given = (text or "").strip()
    if len(given) > longest:
        raise bad_field(
            argument,
            f"{len(given):,} characters are too many, at most {longest:,}",
            limit=argument,
            bound=longest,
        )
    if "\x00" in given:
        raise bad_field(argument, "holds a NUL character")
    return given
