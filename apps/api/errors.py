"""Errors of the API: a message for people, `extensions.code` for programs."""

import logging
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import DataError, InterfaceError, OperationalError
from graphql import GraphQLError
from psycopg.errors import QueryCanceled
from pydantic import BaseModel, ValidationError

from apps.records.input_errors import input_errors

logger = logging.getLogger(__name__)


class ApiError(GraphQLError):
    """An error whose message clients may see. Every other error becomes INTERNAL, without its text.

    `status` and `headers` are those of the HTTP response if the error concerns the whole request.
    """

    code = "INTERNAL"
    status = 400
    headers: Mapping[str, str] = {}

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message, extensions={"code": self.code, **details})


class BadRequestError(ApiError):
    """The HTTP request is no valid GraphQL request."""

    code = "BAD_REQUEST"


class PersistedQueryError(ApiError):
    """The client sent the hash of a query in place of the query. Clients then send the query itself."""

    code = "PERSISTED_QUERY_NOT_SUPPORTED"


class BadInputError(ApiError):
    """The value of an argument cannot be used."""

    code = "BAD_USER_INPUT"


class NotFoundApiError(ApiError):
    """The object of a mutation or a query does not exist."""

    code = "NOT_FOUND"


class UnauthenticatedError(ApiError):
    """The reader must sign in, or send a valid bearer token."""

    code = "UNAUTHENTICATED"
    status = 401
    headers = {"WWW-Authenticate": "Bearer"}


class ForbiddenError(ApiError):
    """The reader lacks a permission, or its session sent no CSRF token."""

    code = "FORBIDDEN"
    status = 403


class MethodNotAllowedError(ApiError):
    """The operation cannot be sent with this HTTP method."""

    code = "METHOD_NOT_ALLOWED"
    status = 405
    headers = {"Allow": "GET, POST"}


class ContentTypeError(ApiError):
    """The Content-Type of the body is not supported."""

    code = "UNSUPPORTED_CONTENT_TYPE"
    status = 415


class UnavailableError(ApiError):
    """A server behind the API does not answer."""

    code = "UNAVAILABLE"
    status = 503


class TimedOutError(ApiError):
    """A statement took longer than WEB_STATEMENT_TIMEOUT."""

    code = "TIMED_OUT"


class LimitError(ApiError):
    """A request exceeds a limit. `extensions` name the setting and its bound."""

    def __init__(self, code: str, message: str, *, limit: str, bound: int | str, status: int = 400) -> None:
        self.code, self.status = code, status
        maximum = f"{bound:,}" if isinstance(bound, int) else bound
        super().__init__(f"{message}; at most {maximum}", limit=limit, bound=bound)


def bad_field(field: str, reason: str, **details: Any) -> BadInputError:
    """The error for an argument or a field of an input, by the name that the client used."""
    return BadInputError(f"{field}: {reason}", field=field, **details)


def bad_input(error: ValidationError, form: type[BaseModel], *, argument: str) -> BadInputError:
    """The first thing that is wrong with a validated input, by the names the client used."""
    first = next(input_errors(error, form, named=camel))
    return bad_field(f"{argument}.{first.field}" if first.field else argument, first.reason)


def camel(name: str) -> str:
    """The GraphQL name of a Python name: experience_years → experienceYears."""
    head, *tail = name.split("_")
    return head + "".join(part.title() for part in tail)


def format_error(error: GraphQLError) -> dict[str, Any]:
    """The error in GraphQL's format, with `extensions.code`. The text of unexpected errors is only logged."""
    original = error.original_error
    formatted: dict[str, Any] = dict(error.formatted)
    is_of_literal = error.path is None and isinstance(original, ValueError | ArithmeticError)
    if original is None or isinstance(original, GraphQLError) or is_of_literal:
        code = "GRAPHQL_VALIDATION_FAILED" if error.path is None else "BAD_USER_INPUT"
        return formatted | {"extensions": {"code": code} | dict(formatted.get("extensions") or {})}
    return formatted | dict(public_error(original, str(error.path)).formatted)


def public_error(original: Exception, place: str) -> ApiError:
    """What clients may know of an unexpected error in `place`. The rest goes to the log."""
    if isinstance(original.__cause__, QueryCanceled):
        seconds = settings.WEB_STATEMENT_TIMEOUT
        return TimedOutError(
            f"took longer than {seconds:g} s: narrow the query down",
            limit="WEB_STATEMENT_TIMEOUT",
            bound=seconds,
        )
    if isinstance(original, DataError):  # a NUL in a string, a number out of range
        logger.warning("%s failed on a value", place, exc_info=original)
        return BadInputError(f"a value cannot be used: {str(original).splitlines()[0]}")
    logger.error("%s failed", place, exc_info=original)
    if isinstance(original, OperationalError | InterfaceError):
        return UnavailableError("the database does not answer: try again later")
    return ApiError("internal error")
