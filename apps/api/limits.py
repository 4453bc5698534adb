"""How much one request may ask for. Each limit is checked before the work that it bounds.

tokens    parsing                                              before it, in one pass that also bounds nesting
depth     how far fields stand inside fields                   before validation
aliases   the same field again, by alias, fragment or plainly  before validation, whose time is quadratic in it
cost      values in the answer and searches, roughly           before execution, when the variables are known
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    Source,
    TokenKind,
)
from graphql.execution.values import get_argument_values
from graphql.language import Lexer
from graphql.type import get_named_type, get_nullable_type, is_list_type

from apps.api.errors import LimitError
from apps.api.paging import LARGEST_PAGE, PAGE

OPENING = frozenset({TokenKind.BRACE_L, TokenKind.BRACKET_L, TokenKind.PAREN_L})
CLOSING = frozenset({TokenKind.BRACE_R, TokenKind.BRACKET_R, TokenKind.PAREN_R})
ARGUMENT_NESTING = 10  # brackets inside of each other in the arguments of the deepest field
LIST_LENGTH = 5  # what a list without pages is taken to hold
LIST_LENGTHS = {"Query.skillCategories": 15, "SkillCategory.skills": 40}  # those that hold more
# What a field costs before its first value, in values: a search works about as long as so many of them take.
SEARCH = 500
LIST = 100
INTROSPECTION = {"__schema": 5_000, "__type": SEARCH}  # with all that may be asked inside
WORK = {"candidates": LIST, "postings": LIST} | dict.fromkeys(
    (
        "dashboard",
        "recommendedCandidates",
        "recommendedPostings",
        "recommendedPostingsForProfile",
        "searchCandidates",
        "searchPostings",
        "searchStatistics",
        "similarPostings",
        "topCompanies",
    ),
    SEARCH,
)


def check_tokens(query: str) -> None:
    """Raises LimitError, or GraphQLSyntaxError for what is no token. The parser recurses with each bracket.

    Comments count: to the lexer they are tokens, which `advance` passes over.
    """
    lexer = Lexer(Source(query))
    tokens = nesting = 0
    token = lexer.token
    while (token := lexer.read_next_token(token.end)).kind != TokenKind.EOF:
        tokens += 1
        nesting += (token.kind in OPENING) - (token.kind in CLOSING)
        if tokens > settings.GRAPHQL_MAX_TOKENS:
            raise LimitError(
                "QUERY_TOO_LARGE",
                "the query has too many tokens",
                limit="GRAPHQL_MAX_TOKENS",
                bound=settings.GRAPHQL_MAX_TOKENS,
            )
        if nesting > settings.GRAPHQL_MAX_DEPTH + ARGUMENT_NESTING:
            raise _too_deep("brackets")


def check_shape(document: DocumentNode) -> None:
    """Raises LimitError where the document is too deep or repeats fields too often."""
    shape = _Shape(document)
    for definition in document.definitions:
        if not isinstance(definition, OperationDefinitionNode):
            continue
        if shape.depth(definition.selection_set) > settings.GRAPHQL_MAX_DEPTH:
            raise _too_deep("fields")
    if shape.repeats() > settings.GRAPHQL_MAX_ALIASES:
        raise LimitError(
            "QUERY_TOO_MANY_ALIASES",
            f"the query asks {shape.repeats()} times for the same field again, by aliases, fragments or plainly",
            limit="GRAPHQL_MAX_ALIASES",
            bound=settings.GRAPHQL_MAX_ALIASES,
        )


def check_cost(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any],
) -> None:
    """Raises LimitError where a valid operation asks for too many values. `variables` are coerced."""
    cost = _Cost(schema, fragments_of(document), variables).of_operation(operation)
    if cost > settings.GRAPHQL_MAX_COST:
        raise LimitError(
            "QUERY_TOO_COSTLY",
            f"the query costs {cost:,}: about one for each value of the answer, {LIST} for a list and {SEARCH} for a search",
            limit="GRAPHQL_MAX_COST",
            bound=settings.GRAPHQL_MAX_COST,
        )


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    return {
        each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
    }


def _too_deep(what: str) -> LimitError:
    return LimitError(
        "QUERY_TOO_DEEP",
        f"{what} stand too deep in each other",
        limit="GRAPHQL_MAX_DEPTH",
        bound=settings.GRAPHQL_MAX_DEPTH,
    )


class _Shape:
    """Measures a document that may be invalid. Each fragment is measured once, however often it is spread."""

    def __init__(self, document: DocumentNode) -> None:
        self._document = document
        self._fragments = fragments_of(document)
        self._depths: dict[str, int] = {}
        self._repeated: dict[str, int] = {}

    def depth(self, selections: SelectionSetNode | None) -> int:
        deepest = 0
        for each in selections.selections if selections else ():
            if isinstance(each, FieldNode):
                # graphql-core bounds introspection by a rule of its own.
                if not each.name.value.startswith("__"):
                    deepest = max(deepest, 1 + self.depth(each.selection_set))
            elif isinstance(each, InlineFragmentNode):
                deepest = max(deepest, self.depth(each.selection_set))
            elif isinstance(each, FragmentSpreadNode):
                deepest = max(deepest, self._fragment_depth(each.name.value))
        return deepest

    def _fragment_depth(self, name: str) -> int:
        if name not in self._depths:
            self._depths[name] = 0  # a fragment that spreads itself is left to validation
            fragment = self._fragments.get(name)
            self._depths[name] = self.depth(fragment.selection_set if fragment else None)
        return self._depths[name]

    def repeats(self) -> int:
        """Of the definition that repeats most, with the fragments that it spreads, each time that it spreads them."""
        return max(
            (
                self._repeats(each.selection_set)
                for each in self._document.definitions
                if isinstance(each, OperationDefinitionNode | FragmentDefinitionNode)
            ),
            default=0,
        )

    def _repeats(self, selections: SelectionSetNode | None) -> int:
        if selections is None:
            return 0
        names = [each.name.value for each in selections.selections if isinstance(each, FieldNode)]
        fragments = len(selections.selections) - len(names)
        inside = sum(
            self._repeats(each.selection_set)
            for each in selections.selections
            if isinstance(each, FieldNode | InlineFragmentNode)
        )
        spread = sum(
            self._fragment_repeats(each.name.value)
            for each in selections.selections
            if isinstance(each, FragmentSpreadNode)
        )
        return len(names) - len(set(names)) + fragments + inside + spread

    def _fragment_repeats(self, name: str) -> int:
        if name not in self._repeated:
            self._repeated[name] = 0
            fragment = self._fragments.get(name)
            self._repeated[name] = self._repeats(fragment.selection_set if fragment else None)
        return self._repeated[name]


@dataclass
class _Cost:
    """One for each field and more for a search, times the rows of the pages and lists that it stands in.

    `variables` are coerced, with their defaults.
    """

    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    variables: Mapping[str, Any]
    known: dict[str, int] = field(default_factory=dict)

    def of_operation(self, operation: OperationDefinitionNode) -> int:
        return self._of(operation.selection_set, self.schema.get_root_type(operation.operation))

    def _of(self, selections: SelectionSetNode | None, parent: Any) -> int:
        cost = 0
        for each in selections.selections if selections else ():
            if isinstance(each, FieldNode):
                cost += self._of_field(each, parent)
            elif isinstance(each, InlineFragmentNode):
                condition = each.type_condition
                cost += self._of(
                    each.selection_set,
                    self.schema.get_type(condition.name.value) if condition else parent,
                )
            elif isinstance(each, FragmentSpreadNode):
                cost += self._of_fragment(each.name.value)
        return cost

    def _of_field(self, node: FieldNode, parent: Any) -> int:
        definition = getattr(parent, "fields", {}).get(node.name.value)
        if definition is None:
            return INTROSPECTION.get(node.name.value, 1)
        inside = self._of(node.selection_set, get_named_type(definition.type))
        work = 1 + (WORK.get(node.name.value, 0) if parent is self.schema.query_type else 0)
        if "first" in definition.args:
            return work + self._page(node, definition) * inside
        paged = node.name.value == "edges"  # the rows of a page were counted where its size stands
        if is_list_type(get_nullable_type(definition.type)) and not paged:
            return work + LIST_LENGTHS.get(f"{parent.name}.{node.name.value}", LIST_LENGTH) * inside
        return work + inside

    def _of_fragment(self, name: str) -> int:
        if name not in self.known:
            fragment = self.fragments[name]
            self.known[name] = self._of(
                fragment.selection_set, self.schema.get_type(fragment.type_condition.name.value)
            )
        return self.known[name]

    def _page(self, node: FieldNode, definition: GraphQLField) -> int:
        try:
            given = get_argument_values(definition, node, dict(self.variables)).get("first")
        except GraphQLError:
            given = None
        # A size out of bounds is refused by the field itself.
        return PAGE if given is None else min(max(given, 1), LARGEST_PAGE)
