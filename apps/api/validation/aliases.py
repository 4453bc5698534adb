"""How often a document repeats fields."""

from typing import Any

from django.conf import settings
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValidationContext,
    ValidationRule,
)

from apps.api.errors import LimitError


class AliasesRule(ValidationRule):
    """No operation or fragment repeats fields more than GRAPHQL_MAX_ALIASES times.

    Fields are repeated by aliases, by fragments or plainly. A fragment counts each time that it is spread.
    """

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self._fragments: dict[str, int] = {}  # each is measured once, however often it is spread

    def enter_document(self, node: DocumentNode, *_: Any) -> None:
        """Measure all operations and fragments."""
        repeats = max(
            (
                self._repeats(each.selection_set)
                for each in node.definitions
                if isinstance(each, OperationDefinitionNode | FragmentDefinitionNode)
            ),
            default=0,
        )
        if repeats > settings.GRAPHQL_MAX_ALIASES:
            self.report_error(
                LimitError(
                    "QUERY_TOO_MANY_ALIASES",
                    f"the query repeats fields {repeats} times, by aliases, by fragments or plainly",
                    limit="GRAPHQL_MAX_ALIASES",
                    bound=settings.GRAPHQL_MAX_ALIASES,
                )
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
        if name not in self._fragments:
            self._fragments[name] = 0  # a fragment that spreads itself is left to graphql-core's rules
            fragment = self.context.get_fragment(name)
            self._fragments[name] = self._repeats(fragment.selection_set if fragment else None)
        return self._fragments[name]
