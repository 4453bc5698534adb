"""What a client is told: a message for people, `extensions.code` for programs."""

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
    """An error whose message may be shown. Everything else becomes INTERNAL, without its text.

    `status` and `headers` are those of the HTTP response where the error stands for the whole request.
    """

    code = "INTERNAL"
    status = 400
    headers: Mapping[str, str] = {}

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message, extensions={"code": self.code, **details})


class BadRequestError(ApiError):
    code = "BAD_REQUEST"


class BadInputError(ApiError):
    code = "BAD_USER_INPUT"


class NotFoundApiError(ApiError):
    code = "NOT_FOUND"


class UnauthenticatedError(ApiError):
    code = "UNAUTHENTICATED"
    status = 401
    headers = {"WWW-Authenticate": "Bearer"}


class ForbiddenError(ApiError):
    code = "FORBIDDEN"
    status = 403


class MethodNotAllowedError(ApiError):
    code = "METHOD_NOT_ALLOWED"
    status = 405
    headers = {"Allow": "GET, POST"}


class ContentTypeError(ApiError):
    code = "UNSUPPORTED_CONTENT_TYPE"
    status = 415


class UnavailableError(ApiError):
    code = "UNAVAILABLE"
    status = 503


class TimedOutError(ApiError):
    code = "TIMED_OUT"


class LimitError(ApiError):
    """A request beyond a limit: `extensions` name the setting and its bound."""

    def __init__(self, code: str, message: str, *, limit: str, bound: int | str, status: int = 400) -> None:
        self.code, self.status = code, status
        most = f"{bound:,}" if isinstance(bound, int) else bound
        super().__init__(f"{message}; at most {most}", limit=limit, bound=bound)


def bad_field(field: str, reason: str, **details: Any) -> BadInputError:
    return BadInputError(f"{field}: {reason}", field=field, **details)


def bad_input(error: ValidationError, form: type[BaseModel], *, argument: str) -> BadInputError:
    """The first thing that is wrong with a validated input, by the names the client used."""
    first = next(input_errors(error, form, named=camel))
    return bad_field(f"{argument}.{first.field}" if first.field else argument, first.reason)


def camel(name: str) -> str:
    """experience_years → experienceYears"""
    head, *tail = name.split("_")
    return head + "".join(part.title() for part in tail)


def formatted(error: GraphQLError) -> dict[str, Any]:
    """As GraphQL says, with `extensions.code`. The text of an unexpected error stays in the log."""
    original = error.original_error
    told: dict[str, Any] = dict(error.formatted)
    of_a_literal = error.path is None and isinstance(original, ValueError | ArithmeticError)
    if original is None or isinstance(original, GraphQLError) or of_a_literal:
        code = "GRAPHQL_VALIDATION_FAILED" if error.path is None else "BAD_USER_INPUT"
        return told | {"extensions": {"code": code} | dict(told.get("extensions") or {})}
    return told | dict(translated_error(original, str(error.path)).formatted)


def translated_error(original: Exception, what: str) -> ApiError:
    """What a client may be told of an unexpected error in `what`; the rest goes to the log."""
    if isinstance(original.__cause__, QueryCanceled):
        seconds = settings.WEB_STATEMENT_TIMEOUT
        return TimedOutError(
            f"took longer than {seconds:g} s: narrow the query down",
            limit="WEB_STATEMENT_TIMEOUT",
            bound=seconds,
        )
    if isinstance(original, DataError):  # a NUL in a string, a number out of range
        logger.warning("%s failed on a value", what, exc_info=original)
        return BadInputError(f"a value cannot be used: {str(original).splitlines()[0]}")
    logger.error("%s failed", what, exc_info=original)
    if isinstance(original, OperationalError | InterfaceError):
        return UnavailableError("the database does not answer: try again later")
    return ApiError("internal error")
