"""What an operation costs: about one unit for each value of the response, and more for a list or a search."""

from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from graphql import (
    SKIP,
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValidationContext,
    ValidationRule,
    VisitorAction,
)
from graphql.execution.values import get_argument_values
from graphql.type import get_named_type, get_nullable_type, is_list_type

from apps.api.errors import LimitError
from apps.api.fields import LIST_COST, SEARCH_COST, facts_of
from apps.api.paging import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE

INTROSPECTION_COST = {"__schema": 5_000, "__type": SEARCH_COST}  # with everything that may be selected inside


def cost_rule(
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any],
    report: Callable[[int], None] = lambda _: None,
) -> type[ValidationRule]:
    """The rule that a valid operation costs at most GRAPHQL_MAX_COST. `variables` are coerced.

    Calls `report` with the cost of an operation within the bound.
    """

    class CostRule(ValidationRule):
        def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> VisitorAction:
            if node is operation:
                cost = _Cost(self.context, variables).of_operation(node)
                if cost > settings.GRAPHQL_MAX_COST:
                    self.report_error(_too_costly(cost))
                else:
                    report(cost)
            return SKIP

    return CostRule


def _too_costly(cost: int) -> LimitError:
    return LimitError(
        "QUERY_TOO_COSTLY",
        f"the query costs {cost:,}: about one for each value of the response, "
        f"{LIST_COST} for a list and {SEARCH_COST} for a search",
        limit="GRAPHQL_MAX_COST",
        bound=settings.GRAPHQL_MAX_COST,
    )


class _Cost:
    """The cost of selections: of each field its base cost and one, times the rows of the lists around it."""

    def __init__(self, context: ValidationContext, variables: Mapping[str, Any]) -> None:
        self._context = context
        self._schema = context.schema
        self._variables = dict(variables)
        self._fragments: dict[str, int] = {}

    def of_operation(self, operation: OperationDefinitionNode) -> int:
        return self._of(operation.selection_set, self._schema.get_root_type(operation.operation))

    def _of(self, selections: SelectionSetNode | None, parent: Any) -> int:
        cost = 0
        for each in selections.selections if selections else ():
            if isinstance(each, FieldNode):
                cost += self._of_field(each, parent)
            elif isinstance(each, InlineFragmentNode):
                condition = each.type_condition
                cost += self._of(
                    each.selection_set,
                    self._schema.get_type(condition.name.value) if condition else parent,
                )
            elif isinstance(each, FragmentSpreadNode):
                cost += self._of_fragment(each.name.value)
        return cost

    def _of_field(self, node: FieldNode, parent: Any) -> int:
        definition = getattr(parent, "fields", {}).get(node.name.value)
        if definition is None:
            return INTROSPECTION_COST.get(node.name.value, 1)
        inside = self._of(node.selection_set, get_named_type(definition.type))
        facts = facts_of(definition)
        work = 1 + facts.cost
        if "first" in definition.args:
            return work + self._page_size(node, definition) * inside
        is_page = node.name.value == "edges"  # its rows were counted for the field with `first`
        if is_list_type(get_nullable_type(definition.type)) and not is_page:
            return work + facts.length * inside
        return work + inside

    def _of_fragment(self, name: str) -> int:
        if name not in self._fragments:
            fragment: Any = self._context.get_fragment(name)
            self._fragments[name] = self._of(
                fragment.selection_set, self._schema.get_type(fragment.type_condition.name.value)
            )
        return self._fragments[name]

    def _page_size(self, node: FieldNode, definition: GraphQLField) -> int:
        try:
            given = get_argument_values(definition, node, self._variables).get("first")
        except GraphQLError:
            given = None
        # A size out of bounds is refused by the field itself.
        return DEFAULT_PAGE_SIZE if given is None else min(max(given, 1), MAX_PAGE_SIZE)
