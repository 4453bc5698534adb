"""GraphQL filter inputs generated from the filter sets of the apps, so that a filter is declared once."""

from collections.abc import Mapping
from typing import Any

import graphene
from django_filters import FilterSet
from graphene_django.forms.converter import convert_form_field

from apps.api.enums import enum_value
from apps.records.filters import StringsField


@convert_form_field.register(StringsField)
def _strings(field: StringsField) -> Any:
    return graphene.List(graphene.NonNull(graphene.String), description=str(field.help_text))


def filter_input(name: str, filters: type[FilterSet], *, enums: Mapping[str, Any], description: str) -> Any:
    """An input type with one field for each filter of a filter set.

    `enums` has the GraphQL enum of each filter that takes one of a few values.
    """
    fields: dict[str, Any] = {}
    for field_name, declared in filters.base_filters.items():
        form_field = declared.field
        if field_name in enums:
            fields[field_name] = enums[field_name](description=str(form_field.help_text))
        else:
            fields[field_name] = convert_form_field(form_field)
    meta = type("Meta", (), {"description": description})
    return type(name, (graphene.InputObjectType,), {**fields, "Meta": meta})


def filter_values(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The values of a filter argument for its filter set, without the fields that are null."""
    return {name: enum_value(value) for name, value in (given or {}).items() if value is not None}
