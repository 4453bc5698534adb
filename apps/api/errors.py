"""What a client is told: a message for people, `extensions.code` for programs."""

from typing import Any

from graphql import GraphQLError
from pydantic import ValidationError


class ApiError(GraphQLError):
    """An error whose message may be shown. Everything else becomes INTERNAL, without its text."""

    code = "INTERNAL"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message, extensions={"code": self.code, **details})


class BadInputError(ApiError):
    code = "BAD_USER_INPUT"


class NotFoundApiError(ApiError):
    code = "NOT_FOUND"


class UnauthenticatedError(ApiError):
    code = "UNAUTHENTICATED"


class ForbiddenError(ApiError):
    code = "FORBIDDEN"


def bad_field(field: str, reason: str) -> BadInputError:
    return BadInputError(f"{field}: {reason}", field=field)


def bad_input(error: ValidationError, *, argument: str) -> BadInputError:
    """The first thing that is wrong with a validated input, by the name the client used."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    path = ".".join([argument, *(camel(str(part)) for part in first["loc"])])
    return bad_field(path, first["msg"].removeprefix("Value error, "))


def camel(name: str) -> str:
    """experience_years → experienceYears"""
    head, *tail = name.split("_")
    return head + "".join(part.title() for part in tail)
