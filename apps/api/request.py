"""The GraphQL request in an HTTP request, parsed once and attached to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest, UnreadablePostError
from django.utils.functional import cached_property

from apps.api.admission import Reader
from apps.api.document import Operation, operation_of
from apps.api.errors import (
    BadRequestError,
    ContentTypeError,
    LimitError,
    MethodNotAllowedError,
    PersistedQueryError,
)

MAX_NESTING = 50  # levels of lists and objects in variables; inputs of the schema need fewer than ten
MAX_SEARCH_CHARACTERS = 120  # of a text; people search with less, a longer one may be a résumé
_ATTRIBUTE = "_jobrec_graphql_request"
_CONTAINERS = (dict, list)


@dataclass(frozen=True)
class GraphQLRequest:
    """The operation that a client wants to be executed. Treat `variables` as read-only."""

    query: str
    variables: Mapping[str, Any]
    operation_name: str | None
    reader: Reader = field(default_factory=Reader, compare=False)

    @cached_property
    def operation(self) -> Operation:
        """The operation, parsed and validated. An anonymous reader is admitted before a document is parsed.

        Raises InvalidDocumentError, LimitError, or BadRequestError where the document has no such operation.
        """
        return operation_of(self.query, self.operation_name, before_parsing=self.reader.admit)

    @property
    def namespaces(self) -> tuple[str, ...] | None:
        """Cache namespaces that the response depends on; None if the response may differ between readers."""
        return self.operation.namespaces if self.reader.is_anonymous else None

    @cached_property
    def is_private(self) -> bool:
        """Whether arguments may describe a person. Proxies must not store the response then."""
        return (
            self.operation.is_personal
            or _max_characters(self.variables) > MAX_SEARCH_CHARACTERS
            or self.operation.max_text_characters > MAX_SEARCH_CHARACTERS
        )


def attach_request(http: HttpRequest) -> GraphQLRequest:
    """Parse the request and attach it to `http`, for the view. Raises what `parse_request` raises."""
    request = parse_request(http)
    setattr(http, _ATTRIBUTE, request)
    return request


def attached_request(http: HttpRequest) -> GraphQLRequest | None:
    """The request that the middleware attached; None for a page of GraphiQL."""
    return getattr(http, _ATTRIBUTE, None)


def parse_request(http: HttpRequest) -> GraphQLRequest:
    """Read a query and its variables from a GET, or from a POST of JSON or of a bare query.

    Raises BadRequestError, MethodNotAllowedError, ContentTypeError or LimitError.
    """
    if http.method == "GET":
        parameters: Any = http.GET.dict()
    elif http.method != "POST":
        raise MethodNotAllowedError(f"the method {http.method} is not allowed: use GET or POST")
    elif http.content_type == "application/json":
        parameters = _parse_json(_body(http), "the body")
    elif http.content_type == "application/graphql":
        parameters = http.GET.dict() | {"query": _body(http).decode(errors="replace")}
    else:
        raise ContentTypeError(
            f"Content-Type: {(http.content_type or '')[:60]!r} is not supported: send application/json"
        )
    return _request_from(parameters, Reader.of(http))


def _body(http: HttpRequest) -> bytes:
    bound = settings.GRAPHQL_MAX_BODY
    try:
        if int(http.META.get("CONTENT_LENGTH") or 0) <= bound:
            return http.body
    except (UnreadablePostError, ValueError) as error:
        raise BadRequestError("the body cannot be read") from error
    raise LimitError(
        "BODY_TOO_LARGE", "the body has too many bytes", limit="GRAPHQL_MAX_BODY", bound=bound, status=413
    )


def _request_from(parameters: Any, reader: Reader) -> GraphQLRequest:
    if not isinstance(parameters, dict):
        raise BadRequestError("the body must be a JSON object with a query")
    get = parameters.get
    query, variables, name = get("query"), get("variables"), get("operationName")
    if query is None and _is_persisted(get("extensions")):
        raise PersistedQueryError("PersistedQueryNotSupported")  # the text that clients of Apollo expect
    if not isinstance(query, str) or not query or query.isspace():
        raise BadRequestError("query: must be a string with a query")
    if isinstance(variables, str):
        variables = _parse_json(variables, "variables") if variables else None
    if variables is not None and not isinstance(variables, dict):
        raise BadRequestError("variables: must be an object")
    if _is_deeper(variables, MAX_NESTING):
        raise BadRequestError(f"variables: must not be nested in more than {MAX_NESTING} levels")
    if name is not None and not isinstance(name, str):
        raise BadRequestError("operationName: must be a string")
    return GraphQLRequest(query, variables or {}, name if name not in ("", "null") else None, reader)


def _is_persisted(extensions: Any) -> bool:
    """Whether the extensions name a query by its hash."""
    if isinstance(extensions, str):
        extensions = _parse_json(extensions, "extensions") if extensions else None
    return isinstance(extensions, dict) and "persistedQuery" in extensions


def _max_characters(value: Any) -> int:
    """Length of the longest string in a JSON value."""
    characters, values = 0, [value]
    while values:
        each = values.pop()
        if isinstance(each, str):
            characters = max(characters, len(each))
        elif isinstance(each, _CONTAINERS):
            values += each.values() if isinstance(each, dict) else each
    return characters


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects are nested in more than `levels` levels."""
    containers = [value] if isinstance(value, _CONTAINERS) else []
    for _ in range(levels):
        containers = [
            inner
            for each in containers
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, _CONTAINERS)
        ]
        if not containers:
            return False
    return bool(containers)


def _parse_json(text: bytes | str, what: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRequestError(f"{what}: invalid JSON, {error.msg} at character {error.pos}") from error
