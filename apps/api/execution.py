"""One request to GraphQL, from who asks to what is answered."""

from typing import Any

from django.http import HttpRequest
from graphql import ExecutionContext, FieldNode, GraphQLObjectType, GraphQLResolveInfo, execute_sync
from graphql.execution.values import get_variable_values
from graphql.pyutils import Path

from apps.api.documents import MAX_ERRORS, Operation, operation_of, schema
from apps.api.errors import MethodNotAllowedError
from apps.api.identity import identify
from apps.api.limits import check_cost
from apps.api.rates import admit
from apps.api.requests import Asked, asked_of
from apps.api.responses import ApiResponse, answered
from apps.skills.directory import SkillEntry


def respond(request: HttpRequest) -> ApiResponse:
    """Executes what was asked. Raises ApiError or InvalidDocumentError where it was not executed."""
    asked = asked_of(request)
    identify(request)
    admit(request)
    operation = operation_of(asked.query, asked.operation_name)
    if request.method == "GET" and not operation.is_query:
        raise MethodNotAllowedError("a mutation is sent with POST")
    return executed(asked, operation, request)


def executed(asked: Asked, operation: Operation, request: HttpRequest) -> ApiResponse:
    """The answer for `request.user`, whom nobody counts. Raises LimitError where it would cost too much."""
    variables = get_variable_values(
        schema(), operation.node.variable_definitions, dict(asked.variables), max_errors=MAX_ERRORS
    )
    if isinstance(variables, list):
        return answered(None, variables)
    check_cost(schema(), operation.document, operation.node, variables)
    result = execute_sync(
        schema(),
        operation.document,
        context_value=request,
        variable_values=dict(asked.variables),
        operation_name=asked.operation_name,
        execution_context_class=_Execution,
    )
    return answered(result.data, result.errors)


class _Execution(ExecutionContext):
    """Completes a skill once for each place of the query that selects it.

    A page of matches names the same few skills hundreds of times.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._skills: dict[tuple[int, ...], Any] = {}

    def complete_object_value(
        self,
        return_type: GraphQLObjectType,
        field_nodes: list[FieldNode],
        info: GraphQLResolveInfo,
        path: Path,
        result: Any,
    ) -> Any:
        if not isinstance(result, SkillEntry):
            return super().complete_object_value(return_type, field_nodes, info, path, result)
        place = (result.id, *map(id, field_nodes))
        if place not in self._skills:
            self._skills[place] = super().complete_object_value(return_type, field_nodes, info, path, result)
        return self._skills[place]
