"""Input objects made from the apps' filter sets, so that a filter is declared once."""

from collections.abc import Mapping
from typing import Any

import graphene
from django_filters import FilterSet
from graphene_django.forms.converter import convert_form_field

from apps.records.filters import StringsField


@convert_form_field.register(StringsField)
def _strings(field: StringsField) -> Any:
    return graphene.List(graphene.NonNull(graphene.String), description=str(field.help_text))


def filter_input(name: str, filters: type[FilterSet], *, enums: Mapping[str, Any], description: str) -> Any:
    """An input type with a field for each filter; `enums` gives those whose values are enumerated."""
    fields: dict[str, Any] = {}
    for field_name, declared in filters.base_filters.items():
        form_field = declared.field
        if field_name in enums:
            fields[field_name] = enums[field_name](description=str(form_field.help_text))
        else:
            fields[field_name] = convert_form_field(form_field)
    return type(
        name, (graphene.InputObjectType,), {**fields, "Meta": type("Meta", (), {"description": description})}
    )


def filter_values(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """A filter argument by the names of its filter set; enumerations by value."""
    return {
        name: getattr(value, "value", value) for name, value in (given or {}).items() if value is not None
    }
