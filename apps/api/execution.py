"""Execution of an admitted request."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from graphql import ExecutionContext, FieldNode, GraphQLObjectType, GraphQLResolveInfo, execute_sync, validate
from graphql.execution.values import get_variable_values
from graphql.pyutils import Path

from apps.api.document import MAX_ERRORS, schema
from apps.api.errors import MethodNotAllowedError
from apps.api.request import GraphQLRequest
from apps.api.response import ApiResponse, response_of
from apps.api.validation.cost import cost_rule
from apps.skills.directory import SkillEntry


@dataclass
class Context:
    """What the resolvers of one execution share, as `info.context`."""

    user: Any
    is_cacheable: bool = True  # False once a root field returned an object that is not


def respond(request: GraphQLRequest, http: HttpRequest) -> ApiResponse:
    """Identify the reader, admit it and execute the request. Raises ApiError or InvalidDocumentError."""
    request.reader.identify(http)
    request.reader.admit()
    if http.method == "GET" and not request.operation.is_query:
        raise MethodNotAllowedError("a mutation is not allowed with GET: use POST")
    return execute(request)


def execute(request: GraphQLRequest) -> ApiResponse:
    """The response for the reader. Raises LimitError where its cost exceeds the reader's rate."""
    operation = request.operation
    variables = get_variable_values(
        schema(), operation.node.variable_definitions, dict(request.variables), max_errors=MAX_ERRORS
    )
    if isinstance(variables, list):
        return response_of(None, variables)
    errors = validate(
        schema(), operation.document, [cost_rule(operation.node, variables, request.reader.charge)]
    )
    if errors:
        return response_of(None, errors)
    context = Context(request.reader.user)
    result = execute_sync(
        schema(),
        operation.document,
        context_value=context,
        variable_values=dict(request.variables),
        operation_name=request.operation_name,
        execution_context_class=_Execution,
    )
    return response_of(result.data, result.errors, is_cacheable=context.is_cacheable)


class _Execution(ExecutionContext):
    """Completes a skill once for each place of the query that selects it, and notes what must not be cached.

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
        if isinstance(result, SkillEntry):
            place = (result.id, *map(id, field_nodes))
            if place not in self._skills:
                self._skills[place] = super().complete_object_value(
                    return_type, field_nodes, info, path, result
                )
            return self._skills[place]
        if path.prev is None and not getattr(result, "is_cacheable", True):
            self.context_value.is_cacheable = False
        return super().complete_object_value(return_type, field_nodes, info, path, result)
