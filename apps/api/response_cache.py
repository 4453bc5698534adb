"""Whole responses of anonymous, cacheable queries, cached as bytes. A hit runs nothing of GraphQL.

The middleware stands before sessions, authentication and all else that an anonymous reader does not need.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified

from apps.api.documents import Operation, is_remembered, operation_of
from apps.api.execution import executed
from apps.api.identity import is_anonymous
from apps.api.popularity import LONGEST_TEXT, popularity
from apps.api.rates import admit
from apps.api.requests import Asked, asked_of
from apps.api.responses import JSON, ApiResponse, spoken
from apps.caching.two_level import Codec, TwoLevelCache, is_keepable

ENDPOINT = "/graphql"
# Kept by browsers and proxies, but asked for again each time: then a 304 says that nothing changed.
HEADERS = {"Cache-Control": "public, no-cache", "Vary": "Accept, Authorization, Cookie"}


@dataclass(frozen=True)
class Kept:
    """A response without errors, as it is sent."""

    etag: str
    body: bytes

    @classmethod
    def of(cls, body: bytes) -> "Kept":
        return cls(f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"', body)

    def _is_known(self, tags: str) -> bool:
        """Whether the client has it; a proxy that compresses makes weak tags of ours."""
        return bool(tags) and any(
            tag.strip().removeprefix("W/") in (self.etag, "*") for tag in tags.split(",")
        )

    @classmethod
    def decode(cls, stored: bytes) -> "Kept":
        etag, _, body = stored.partition(b"\n")
        return cls(etag.decode(), body)

    def encode(self) -> bytes:
        return self.etag.encode() + b"\n" + self.body

    def answer(self, request: HttpRequest, *, is_personal: bool) -> HttpResponse:
        if is_personal:
            return ApiResponse(self.body)
        headers = HEADERS | {"ETag": self.etag, "Content-Length": str(len(self.body))}
        if request.method == "GET" and self._is_known(request.META.get("HTTP_IF_NONE_MATCH", "")):
            return HttpResponseNotModified(headers=HEADERS | {"ETag": self.etag})
        return HttpResponse(self.body, content_type=JSON, headers=headers)


responses = TwoLevelCache(
    codec=Codec(encode=Kept.encode, decode=Kept.decode, weight=lambda kept: len(kept.body) + 500),
    room=settings.CACHE_L1_RESPONSES_MB * 1024 * 1024,
)


class ResponseCacheMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if (
            request.path_info != ENDPOINT
            or not is_anonymous(request)
            or (request.method == "GET" and "text/html" in request.META.get("HTTP_ACCEPT", ""))  # GraphiQL
        ):
            return self._get_response(request)
        return spoken(lambda: self._answer(request))

    def _answer(self, request: HttpRequest) -> HttpResponse:
        asked = asked_of(request)
        if not is_remembered(asked.query):
            admit(request)  # before the work of parsing and validating
        operation = operation_of(asked.query, asked.operation_name)
        namespaces = operation.namespaces
        if namespaces is None:
            return self._get_response(request)
        found = _cached(asked, namespaces, lambda: self._get_response(request))
        if not isinstance(found, Kept):
            return found
        is_personal = operation.is_personal or is_long(asked, operation)
        if settings.CACHE_WARM_REQUESTS and not is_personal:
            popularity.count(asked)
        return found.answer(request, is_personal=is_personal)


def is_long(asked: Asked, operation: Operation) -> bool:
    """Whether it holds more text than people search for: it may be a résumé."""
    return max(operation.longest_text, asked.longest_text) > LONGEST_TEXT


def warm(asked: Asked) -> bool:
    """Answers for an anonymous reader where neither level holds the answer yet. Whether it is held now.

    Raises InvalidDocumentError or ApiError where it cannot be executed.
    """
    operation = operation_of(asked.query, asked.operation_name)
    namespaces = operation.namespaces
    if namespaces is None:
        return False
    reader = HttpRequest()
    reader.user = AnonymousUser()
    return isinstance(_cached(asked, namespaces, lambda: executed(asked, operation, reader)), Kept)


def _cached(
    asked: Asked, namespaces: tuple[str, ...], answer: Callable[[], HttpResponse]
) -> Kept | HttpResponse:
    def compute() -> Kept | HttpResponse:
        response = answer()
        complete = isinstance(response, ApiResponse) and response.complete and is_keepable()
        return Kept.of(response.content) if complete else response

    return responses.get_or_compute(
        "response",
        {"query": asked.query, "variables": asked.variables, "operation": asked.operation_name},
        tags=namespaces,
        compute=compute,
        keep=lambda found: isinstance(found, Kept),
    )
