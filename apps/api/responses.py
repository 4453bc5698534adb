"""HTTP answers of the API."""

from collections.abc import Callable, Sequence
from typing import Any

import orjson
from django.db import DatabaseError, InterfaceError
from django.http import HttpResponse
from graphql import GraphQLError

from apps.api.documents import InvalidDocumentError
from apps.api.errors import ApiError, formatted, translated_error

JSON = "application/json"


class ApiResponse(HttpResponse):
    """An answer to one reader, that nothing on the way may keep.

    `complete`: it holds no errors. The response cache gives such an answer to other readers where it may.
    """

    def __init__(self, body: bytes, *, status: int = 200, complete: bool = False) -> None:
        super().__init__(body, status=status, content_type=JSON)
        self["Cache-Control"] = "private, no-store"
        self["Content-Length"] = str(len(body))  # without it the answer would go out in chunks
        self.complete = complete


def answered(data: Any, errors: Sequence[GraphQLError] | None) -> ApiResponse:
    """What execution gave. The status is 400 where an error stands for the whole request."""
    if not errors:
        return ApiResponse(orjson.dumps({"data": data}), complete=True)
    body: dict[str, Any] = {"errors": [formatted(error) for error in errors]}
    whole = any(not error.path for error in errors)
    if not whole:
        body["data"] = data
    return ApiResponse(orjson.dumps(body), status=400 if whole else 200)


def spoken(answer: Callable[[], HttpResponse]) -> HttpResponse:
    """The answer, or what is wrong with the request, as GraphQL says it."""
    try:
        return answer()
    except InvalidDocumentError as error:
        return answered(None, error.errors)
    except ApiError as error:
        return _refused(error)
    except (
        DatabaseError,
        InterfaceError,
    ) as error:  # before anything was executed, as where a token is looked up
        return _refused(translated_error(error, "the request"))


def _refused(error: ApiError) -> ApiResponse:
    response = ApiResponse(orjson.dumps({"errors": [formatted(error)]}), status=error.status)
    for name, value in error.headers.items():
        response[name] = value
    return response
