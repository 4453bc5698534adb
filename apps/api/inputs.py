"""GraphQL inputs handed to the validated forms of the apps."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from apps.api.errors import bad_input
from apps.records.inputs import RecordInput

FormT = TypeVar("FormT", bound=RecordInput)


def validated(form: type[FormT], given: Mapping[str, Any], *, argument: str) -> FormT:
    """The form filled with what was given. Raises BadInputError, naming the field as the client did."""
    values = {name: getattr(value, "value", value) for name, value in given.items() if value is not None}
    try:
        return form.model_validate(values)
    except ValidationError as error:
        raise bad_input(error, argument=argument) from error
