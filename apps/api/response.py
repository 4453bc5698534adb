"""HTTP responses of the API."""

from collections.abc import Callable, Sequence
from typing import Any

import orjson
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from graphql import GraphQLError

from apps.api.document import InvalidDocumentError
from apps.api.errors import ApiError, format_error, public_error

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
UTF_8 = "; charset=utf-8"
TYPES = [GRAPHQL_JSON, GRAPHQL_JSON + UTF_8, JSON, JSON + UTF_8]


class ApiResponse(HttpResponse):
    """A response to one reader, which neither browsers nor proxies may store.

    `is_cacheable`: the response cache may give its content to other anonymous readers.
    """

    def __init__(self, body: bytes, *, status: int = 200, is_cacheable: bool = False) -> None:
        super().__init__(body, status=status, content_type=JSON)
        self["Cache-Control"] = "private, no-store"
        self["Content-Length"] = str(len(body))  # without it the response would be sent in chunks
        self.is_cacheable = is_cacheable


def response_of(
    data: Any, errors: Sequence[GraphQLError] | None, *, is_cacheable: bool = False
) -> ApiResponse:
    """The response for the result of an execution. Status 400 if an error concerns the whole request.

    A response with errors is never cacheable.
    """
    if not errors:
        return ApiResponse(orjson.dumps({"data": data}), is_cacheable=is_cacheable)
    body: dict[str, Any] = {"errors": [format_error(error) for error in errors]}
    is_refused = any(not error.path for error in errors)
    if not is_refused:
        body["data"] = data
    return ApiResponse(orjson.dumps(body), status=400 if is_refused else 200)


def as_graphql_response(respond: Callable[[], HttpResponse]) -> HttpResponse:
    """The response of `respond`. If it raises an error, a response that reports it as GraphQL does."""
    try:
        return respond()
    except InvalidDocumentError as error:
        return response_of(None, error.errors)
    except ApiError as error:
        return _error_response(error)
    except (DatabaseError, InterfaceError) as error:  # before execution, such as while a token is looked up
        return _error_response(public_error(error, "the request"))


def negotiated(response: HttpResponse, http: HttpRequest) -> HttpResponse:
    """The response with the content type that the client prefers: application/json unless it names GraphQL's.

    The status follows the rules of both: 4xx exactly if the whole request was refused and there is no data.
    """
    accepted = http.META.get("HTTP_ACCEPT", "")
    is_named = GRAPHQL_JSON in accepted and response.get("Content-Type") == JSON
    if is_named and str(http.get_preferred_type(TYPES)).startswith(GRAPHQL_JSON):
        response["Content-Type"] = GRAPHQL_JSON + UTF_8
    return response


def _error_response(error: ApiError) -> ApiResponse:
    response = ApiResponse(orjson.dumps({"errors": [format_error(error)]}), status=error.status)
    for name, value in error.headers.items():
        response[name] = value
    return response
