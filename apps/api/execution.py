"""One request to GraphQL, from who asks to what is answered."""

from django.http import HttpRequest
from graphql import ExecutionResult, execute

from apps.api.documents import operation_of, schema
from apps.api.errors import MethodNotAllowedError
from apps.api.identity import identify
from apps.api.limits import check_cost
from apps.api.rates import admit
from apps.api.requests import asked_of
from apps.api.responses import ApiResponse, answered


def respond(request: HttpRequest) -> ApiResponse:
    """Executes what was asked. Raises ApiError or InvalidDocumentError where it was not executed."""
    asked = asked_of(request)
    identify(request)
    admit(request)
    operation = operation_of(asked.query, asked.operation_name)
    if request.method == "GET" and not operation.is_query:
        raise MethodNotAllowedError("a mutation is sent with POST")
    check_cost(schema(), operation.document, operation.node, asked.variables)
    result = execute(
        schema(),
        operation.document,
        context_value=request,
        variable_values=dict(asked.variables),
        operation_name=asked.operation_name,
    )
    assert isinstance(result, ExecutionResult)  # noqa: S101  no resolver is a coroutine
    return answered(result.data, result.errors)
