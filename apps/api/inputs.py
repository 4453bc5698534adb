"""GraphQL inputs handed to the validated forms of the apps."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from apps.api.errors import bad_field, bad_input
from apps.records.inputs import RecordInput

MOST_NAMES = 200  # in one argument

FormT = TypeVar("FormT", bound=RecordInput)


def validated(form: type[FormT], given: Mapping[str, Any], *, argument: str) -> FormT:
    """The form filled with what was given. Raises BadInputError, naming the field as the client did."""
    values = {name: getattr(value, "value", value) for name, value in given.items() if value is not None}
    try:
        return form.model_validate(values)
    except ValidationError as error:
        raise bad_input(error, argument=argument) from error


def bounded(names: Sequence[str] | None, *, argument: str) -> list[str]:
    """A list of names, empty where none was given. Raises BadInputError where it is longer than MOST_NAMES."""
    given = list(names or ())
    if len(given) > MOST_NAMES:
        raise bad_field(
            argument, f"{len(given):,} are too many, at most {MOST_NAMES}", limit=argument, bound=MOST_NAMES
        )
    return given
