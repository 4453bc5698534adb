"""How many levels fields are nested."""

from typing import Any

from django.conf import settings
from graphql import (
    SKIP,
    FieldNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValidationContext,
    ValidationRule,
    VisitorAction,
)

from apps.api.errors import LimitError


class DepthRule(ValidationRule):
    """No operation nests fields deeper than GRAPHQL_MAX_DEPTH, through its fragments as well.

    Introspection does not count: graphql-core bounds it by a rule of its own.
    """

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self._fragments: dict[str, int] = {}  # each is measured once, however often it is spread

    def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> VisitorAction:
        """Measure one operation."""
        if self._depth(node.selection_set) > settings.GRAPHQL_MAX_DEPTH:
            self.report_error(too_deep("fields"))
        return SKIP

    def _depth(self, selections: SelectionSetNode | None) -> int:
        deepest = 0
        for each in selections.selections if selections else ():
            if isinstance(each, FragmentSpreadNode):
                deepest = max(deepest, self._fragment_depth(each.name.value))
            elif isinstance(each, InlineFragmentNode):
                deepest = max(deepest, self._depth(each.selection_set))
            elif isinstance(each, FieldNode) and not each.name.value.startswith("__"):
                deepest = max(deepest, 1 + self._depth(each.selection_set))
        return deepest

    def _fragment_depth(self, name: str) -> int:
        if name not in self._fragments:
            self._fragments[name] = 0  # a fragment that spreads itself is left to graphql-core's rules
            fragment = self.context.get_fragment(name)
            self._fragments[name] = self._depth(fragment.selection_set if fragment else None)
        return self._fragments[name]


def too_deep(what: str) -> LimitError:
    """The error for `what` (fields or brackets) nested too deep."""
    return LimitError(
        "QUERY_TOO_DEEP",
        f"{what} are nested too deep",
        limit="GRAPHQL_MAX_DEPTH",
        bound=settings.GRAPHQL_MAX_DEPTH,
    )
