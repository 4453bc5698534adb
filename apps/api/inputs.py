"""GraphQL inputs generated from the validated forms of the apps, and the checks of plain arguments."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import graphene
from pydantic import ValidationError

from apps.api.enums import FORM_ENUMS, enum_value
from apps.api.errors import bad_field, bad_input
from apps.records.inputs import RecordInput
from apps.skills.services import MAX_NAME_LENGTH

MAX_NAMES = 200  # in one argument

FormT = TypeVar("FormT", bound=RecordInput)

_SCALARS: Mapping[type, Any] = {
    str: graphene.String,
    bool: graphene.Boolean,
    Decimal: graphene.Float,
    datetime: graphene.DateTime,
}


def form_input(
    form: type[RecordInput], node: Any, *, description: str, field_descriptions: Mapping[str, str]
) -> Any:
    """An input type with the name and the fields of `form`, in the order of the fields of `node`.

    The form declares the type of each field and whether it is required. A description comes from
    `field_descriptions`, or from the field of `node` with the same name.
    """
    described = node._meta.fields
    fields = {
        name: graphene.InputField(
            _graphql_type(form.model_fields[name].annotation),
            required=form.model_fields[name].is_required(),
            description=field_descriptions.get(name) or described[name].description,
        )
        for name in sorted(set(form.model_fields) - form.import_only, key=list(described).index)
    }
    meta = type("Meta", (), {"description": description})
    return type(form.__name__, (graphene.InputObjectType,), {**fields, "Meta": meta})


def _graphql_type(annotation: Any) -> Any:
    """The GraphQL type of a form's annotation, without what only validation needs."""
    if isinstance(annotation, type):
        return FORM_ENUMS[annotation] if annotation in FORM_ENUMS else _SCALARS[annotation]
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is list:
        return graphene.List(graphene.NonNull(_graphql_type(parts[0])))
    if origin is Annotated:
        return _graphql_type(parts[0])
    # A union with None or Literal[""], which stand for a value that is missing.
    [part] = [part for part in parts if part is not type(None) and get_origin(part) is not Literal]
    return _graphql_type(part)


def validated(form: type[FormT], given: Mapping[str, Any], *, argument: str) -> FormT:
    """The form filled with the values of an argument. Raises BadInputError, which names the wrong field."""
    values = {name: enum_value(value) for name, value in given.items() if value is not None}
    try:
        return form.model_validate(values)
    except ValidationError as error:
        raise bad_input(error, form, argument=argument) from error


def checked_names(names: Sequence[str] | None, *, argument: str, max_names: int = MAX_NAMES) -> list[str]:
    """A list of names without blank ones, empty if None is given.

    Raises BadInputError for more than `max_names`, and for a name that is too long or contains NUL.
    """
    given = list(names or ())
    if len(given) > max_names:
        raise bad_field(
            argument,
            f"{len(given):,} are too many, at most {max_names}",
            limit=argument,
            bound=max_names,
        )
    checked = (
        checked_text(name, argument=f"{argument}[{index}]", max_characters=MAX_NAME_LENGTH)
        for index, name in enumerate(given)
    )
    return [name for name in checked if name]


def checked_text(text: str | None, *, argument: str, max_characters: int) -> str:
    """The text without surrounding blanks. Raises BadInputError if it is too long or contains NUL."""
    given = (text or "").strip()
    if len(given) > max_characters:
        raise bad_field(
            argument,
            f"{len(given):,} characters are too many, at most {max_characters:,}",
            limit=argument,
            bound=max_characters,
        )
    if "\x00" in given:
        raise bad_field(argument, "contains a NUL character")
    return given
