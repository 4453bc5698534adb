"""GraphQL documents, parsed and validated once in each process."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from cachetools import LRUCache
from django.conf import settings
from django.utils.functional import cached_property
from graphene_django.settings import graphene_settings
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
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
from apps.api.fields import Facts, facts_of
from apps.api.validation.aliases import AliasesRule
from apps.api.validation.depth import DepthRule
from apps.api.validation.tokens import check_tokens

MAX_CACHED_CHARACTERS = 500_000  # of queries; a parsed one takes about fifty times its length
MAX_ERRORS = 10
INTROSPECTION = {"__typename": Facts(reads=frozenset())}  # the schema itself is not cached

_lock = threading.Lock()


class InvalidDocumentError(Exception):
    """The document cannot be parsed, is invalid or exceeds a limit: `errors` give the reasons."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = errors


@dataclass(frozen=True)
class Operation:
    """One operation of a valid document."""

    document: DocumentNode
    node: OperationDefinitionNode

    @property
    def is_query(self) -> bool:
        """Whether it only reads."""
        return self.node.operation == OperationType.QUERY

    @cached_property
    def namespaces(self) -> tuple[str, ...] | None:
        """Cache namespaces that its root fields read; None if one of them may differ between readers."""
        namespaces: set[str] = set()
        for facts in self._root_facts:
            if facts.reads is None:
                return None
            namespaces |= facts.reads
        return tuple(sorted(namespaces)) if self.is_query else None

    @cached_property
    def is_personal(self) -> bool:
        """Whether arguments of its root fields may describe a person."""
        return any(facts.is_personal for facts in self._root_facts)

    @cached_property
    def max_text_characters(self) -> int:
        """Length of the longest string in the document itself."""
        longest = _LongestText()
        visit(self.document, longest)
        return longest.characters

    @cached_property
    def _root_facts(self) -> list[Facts]:
        root = schema().get_root_type(self.node.operation)
        fields = {} if root is None else root.fields
        return [
            facts_of(fields[name]) if name in fields else INTROSPECTION.get(name, Facts())
            for name in self._root_fields(self.node.selection_set)
        ]

    def _root_fields(self, selections: SelectionSetNode) -> set[str]:
        names: set[str] = set()
        for each in selections.selections:
            if isinstance(each, FieldNode):
                names.add(each.name.value)
            elif isinstance(each, InlineFragmentNode):
                names |= self._root_fields(each.selection_set)
            elif isinstance(each, FragmentSpreadNode):
                names |= self._root_fields(self._fragments[each.name.value])
        return names

    @cached_property
    def _fragments(self) -> dict[str, SelectionSetNode]:
        return {
            each.name.value: each.selection_set
            for each in self.document.definitions
            if isinstance(each, FragmentDefinitionNode)
        }


@dataclass(frozen=True)
class _CachedDocument:
    """A valid document of `length` characters, and its operations that were requested, by name."""

    node: DocumentNode
    length: int
    operations: dict[str | None, Operation] = field(default_factory=dict)


_documents: LRUCache[str, _CachedDocument] = LRUCache(MAX_CACHED_CHARACTERS, getsizeof=attrgetter("length"))


def schema() -> GraphQLSchema:
    """The schema that documents are validated against."""
    built: GraphQLSchema = graphene_settings.SCHEMA.graphql_schema
    return built


def operation_of(query: str, name: str | None, *, before_parsing: Callable[[], None]) -> Operation:
    """The operation `name` of `query`, or its only one. Calls `before_parsing` unless the query is cached.

    Raises InvalidDocumentError, or BadRequestError where the document has no such operation.
    """
    with _lock:
        document = _documents.get(query)
    if document is None:
        before_parsing()
        document = _CachedDocument(_parse(query), len(query))
        with _lock:
            if document.length <= MAX_CACHED_CHARACTERS:
                _documents[query] = document
    if name not in document.operations:
        node = get_operation_ast(document.node, name)
        if node is None:
            raise BadRequestError(
                f"operationName: the query has no operation {name[:40]!r}"
                if name
                else "operationName: name an operation, since the query has several or none"
            )
        document.operations[name] = Operation(document.node, node)
    return document.operations[name]


def _parse(query: str) -> DocumentNode:
    """A valid document within all limits. They come first: validation takes quadratic time in aliases."""
    try:
        check_tokens(query)
        document = parse(query)
    except GraphQLError as error:
        raise InvalidDocumentError([error]) from error
    rules = [*specified_rules, *([] if settings.GRAPHQL_INTROSPECTION else [NoSchemaIntrospectionCustomRule])]
    for each in ([DepthRule, AliasesRule], rules):
        errors = validate(schema(), document, each, max_errors=MAX_ERRORS)
        if errors:
            raise InvalidDocumentError(errors)
    return document


class _LongestText(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.characters = 0

    def enter_string_value(self, node: StringValueNode, *_: Any) -> None:
        self.characters = max(self.characters, len(node.value))
