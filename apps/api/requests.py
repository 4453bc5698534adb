"""From an HTTP request to what GraphQL was asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any

import orjson
from cachetools import TTLCache, cached
from django.conf import settings
from django.http import HttpRequest, UnreadablePostError

from apps.api.errors import BadRequestError, ContentTypeError, LimitError, MethodNotAllowedError
from apps.api.identity import is_anonymous

DEEPEST = 50  # no input of the schema comes near it; what is stored of a request must be written, too
REMEMBERED, LARGEST_REMEMBERED = 500, 4_000  # bodies, octets of one


@dataclass(frozen=True)
class Asked:
    """What anonymous readers ask alike is one object for all of them: nobody changes its variables."""

    query: str
    variables: Mapping[str, Any]
    operation_name: str | None

    @cached_property
    def longest_text(self) -> int:
        """Characters of the longest string in the variables."""
        return _longest(self.variables)


def asked_of(request: HttpRequest) -> Asked:
    """The query with its variables, from a POST of JSON or of a bare query, or from a GET.

    Raises BadRequestError, MethodNotAllowedError, ContentTypeError or LimitError.
    """
    if request.method == "GET":
        return _asked(request.GET.dict())
    if request.method != "POST":
        raise MethodNotAllowedError("GraphQL is asked with GET or POST")
    body = _body(request)
    if request.content_type == "application/json":
        is_alike = len(body) <= LARGEST_REMEMBERED and is_anonymous(request)
        return _remembered(body) if is_alike else _asked_in(body)
    if request.content_type == "application/graphql":
        return _asked(request.GET.dict() | {"query": body.decode(errors="replace")})
    raise ContentTypeError(
        f"Content-Type: {(request.content_type or '')[:60]!r} is not understood, send application/json"
    )


def _body(request: HttpRequest) -> bytes:
    bound = settings.GRAPHQL_MAX_BODY
    try:
        if int(request.META.get("CONTENT_LENGTH") or 0) <= bound:
            return request.body
    except (UnreadablePostError, ValueError) as error:
        raise BadRequestError("the body cannot be read") from error
    raise LimitError(
        "BODY_TOO_LARGE", "the body has too many octets", limit="GRAPHQL_MAX_BODY", bound=bound, status=413
    )


def _asked(given: Any) -> Asked:
    if not isinstance(given, dict):
        raise BadRequestError("the body: an object with a query is needed")
    query, variables, name = (given.get(key) for key in ("query", "variables", "operationName"))
    if not isinstance(query, str) or not query.strip():
        raise BadRequestError("query: a query as a string is needed")
    if isinstance(variables, str):
        variables = _json(variables, "variables") if variables else None
    if variables is not None and not isinstance(variables, dict):
        raise BadRequestError("variables: an object is needed")
    if _is_deeper(variables, DEEPEST):
        raise BadRequestError(f"variables: values are nested in more than {DEEPEST} levels")
    if name is not None and not isinstance(name, str):
        raise BadRequestError("operationName: a string is needed")
    return Asked(query, variables or {}, name if name not in ("", "null") else None)


def _asked_in(body: bytes) -> Asked:
    return _asked(_json(body, "the body"))


# So that a hit of the response cache reads no body twice; for no longer than an answer stays in the process, since some
# readers say something of themselves.
_remembered = cached(TTLCache[bytes, Asked](REMEMBERED, settings.CACHE_L1_TTL), lock=Lock())(_asked_in)


def _longest(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return max(map(_longest, inside), default=0)


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects stand in more than so many levels of each other."""
    if not isinstance(value, dict | list):
        return False
    inside = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(each, levels - 1) for each in inside)


def _json(text: bytes | str, what: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRequestError(f"{what}: no JSON, {error.msg} at character {error.pos}") from error
