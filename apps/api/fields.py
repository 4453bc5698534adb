"""Fields that declare, next to their type, what the limits and the response cache must know about them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import graphene
from graphene.utils.str_converters import to_camel_case
from graphql import GraphQLField, GraphQLObjectType

LIST_COST = 100  # base cost of a list of rows, in units: one unit is one returned value
SEARCH_COST = 500  # base cost of a search, which takes about as long as so many values
DEFAULT_LENGTH = 5  # items that a list without pages is expected to hold
PER_READER = None  # `reads` of a field whose value may differ between readers: never cached
_FACTS = "facts"  # key in GraphQLField.extensions


@dataclass(frozen=True)
class Facts:
    """What is declared of a field.

    `cost`: base cost in units. `length`: items that a list without pages holds.
    `reads`: cache namespaces that the value depends on, or PER_READER.
    `is_personal`: arguments may describe a person, so that the request must be neither counted nor warmed.
    """

    cost: int = 0
    length: int = DEFAULT_LENGTH
    reads: frozenset[str] | None = None
    is_personal: bool = False


class LongList(graphene.Field):
    """A list without pages, expected to hold `length` items."""

    def __init__(self, of_type: Any, *, length: int, **options: Any) -> None:
        super().__init__(graphene.List(graphene.NonNull(of_type)), **options)
        self.facts = Facts(length=length)


class CostlyField(graphene.Field):
    """A field with a base cost of its own, in units."""

    def __init__(self, type_: Any, *, cost: int, **options: Any) -> None:
        super().__init__(type_, **options)
        self.facts = Facts(cost=cost)


class RootField(graphene.Field):
    """A field of Query with its facts (see Facts)."""

    def __init__(
        self,
        type_: Any,
        *,
        cost: int,
        reads: Iterable[str] | None,
        is_personal: bool = False,
        length: int = DEFAULT_LENGTH,
        **options: Any,
    ) -> None:
        super().__init__(type_, **options)
        self.facts = Facts(
            cost=cost,
            length=length,
            reads=None if reads is None else frozenset(reads),
            is_personal=is_personal,
        )


def facts_of(field: GraphQLField) -> Facts:
    """What is declared of a field of the built schema."""
    facts: Facts = field.extensions.get(_FACTS, _NO_FACTS)
    return facts


def with_facts(schema: graphene.Schema) -> graphene.Schema:
    """The schema, after copying the facts of its fields to where `facts_of` finds them."""
    for built in schema.graphql_schema.type_map.values():
        if not isinstance(built, GraphQLObjectType) or not hasattr(built, "graphene_type"):
            continue
        for name, field in built.graphene_type._meta.fields.items():
            if isinstance(field, CostlyField | LongList | RootField):
                built.fields[field.name or to_camel_case(name)].extensions[_FACTS] = field.facts
    return schema


_NO_FACTS = Facts()
