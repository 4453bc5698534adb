"""Queries, parsed and validated once in each process."""

import threading
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from typing import Any

from cachetools import LRUCache
from django.conf import settings
from graphene_django.settings import graphene_settings
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    StringValueNode,
    Visitor,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
    visit,
)

from apps.api.errors import BadRequestError
from apps.api.limits import check_shape, check_tokens, fragments_of
from apps.api.public import NAMESPACES, PERSONAL

REMEMBERED = 500_000  # characters of queries: a parsed one takes some fifty times its length
MAX_ERRORS = 10

_lock = threading.Lock()


class InvalidDocumentError(Exception):
    """The query cannot be parsed or is not valid: `errors` say why."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = errors


class _LongestText(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.characters = 0

    def enter_string_value(self, node: StringValueNode, *_: Any) -> None:
        self.characters = max(self.characters, len(node.value))


@dataclass(frozen=True)
class Operation:
    """One operation of a valid document."""

    document: DocumentNode
    node: OperationDefinitionNode

    @property
    def is_query(self) -> bool:
        return self.node.operation == OperationType.QUERY

    @cached_property
    def namespaces(self) -> tuple[str, ...] | None:
        """What the answer depends on; None where it may differ from reader to reader, so must not be shared."""
        if not self.is_query:
            return None
        fields = self._root_fields(self.node.selection_set)
        if not fields <= NAMESPACES.keys():
            return None
        return tuple(sorted({namespace for name in fields for namespace in NAMESPACES[name]}))

    @cached_property
    def is_personal(self) -> bool:
        """Whether its arguments may say something of a person."""
        return not PERSONAL.isdisjoint(self._root_fields(self.node.selection_set))

    @cached_property
    def longest_text(self) -> int:
        """Characters of the longest string that stands in the document itself."""
        longest = _LongestText()
        visit(self.document, longest)
        return longest.characters

    def _root_fields(self, selections: SelectionSetNode) -> set[str]:
        fields: set[str] = set()
        for each in selections.selections:
            if isinstance(each, FieldNode):
                fields.add(each.name.value)
            elif isinstance(each, InlineFragmentNode):
                fields |= self._root_fields(each.selection_set)
            elif isinstance(each, FragmentSpreadNode):
                fields |= self._root_fields(fragments_of(self.document)[each.name.value].selection_set)
        return fields


@dataclass(frozen=True)
class _Document:
    """A valid document of `length` characters, and those of its operations that were asked for, by name."""

    node: DocumentNode
    length: int
    operations: dict[str | None, Operation] = field(default_factory=dict)


_remembered: LRUCache[str, _Document] = LRUCache(REMEMBERED, getsizeof=attrgetter("length"))


def schema() -> GraphQLSchema:
    built: GraphQLSchema = graphene_settings.SCHEMA.graphql_schema
    return built


def is_remembered(query: str) -> bool:
    """Whether the query costs no more parsing in this process."""
    with _lock:
        return query in _remembered


def operation_of(query: str, name: str | None) -> Operation:
    """The operation `name` of `query`, or its only one.

    Raises InvalidDocumentError, LimitError, or BadRequestError where the operation is not there.
    """
    document = _document(query)
    if name not in document.operations:
        node = get_operation_ast(document.node, name)
        if node is None:
            raise BadRequestError(
                f"operationName: the query has no operation {name[:40]!r}"
                if name
                else "operationName: the query has none or several operations, name one"
            )
        document.operations[name] = Operation(document.node, node)
    return document.operations[name]


def _document(query: str) -> _Document:
    with _lock:
        known = _remembered.get(query)
    if known is not None:
        return known
    try:
        check_tokens(query)
        document = parse(query)
    except GraphQLError as error:
        if error.extensions:  # a limit's
            raise
        raise InvalidDocumentError([error]) from error
    check_shape(document)
    rules = [*specified_rules, *([] if settings.GRAPHQL_INTROSPECTION else [NoSchemaIntrospectionCustomRule])]
    errors = validate(schema(), document, rules, max_errors=MAX_ERRORS)
    if errors:
        raise InvalidDocumentError(errors)
    valid = _Document(document, len(query))
    with _lock:
        if valid.length <= REMEMBERED:
            _remembered[query] = valid
    return valid
