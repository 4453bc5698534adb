"""The response cache: responses to public queries, as bytes. A hit executes nothing and reads no database."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified

from apps.api.execution import execute
from apps.api.popularity import popularity
from apps.api.request import GraphQLRequest
from apps.api.response import JSON, ApiResponse
from apps.caching.two_level import Codec, Computed, TwoLevelCache
from apps.recommendations.active_ranking import file_ranking

# Browsers and proxies store the response, but ask each time whether it changed: then a 304 is the answer.
HEADERS = {"Cache-Control": "public, no-cache", "Vary": "Accept, Authorization, Cookie"}


@dataclass(frozen=True)
class CachedResponse:
    """The body of a response without errors, with its entity tag."""

    etag: str
    body: bytes

    @classmethod
    def of(cls, body: bytes) -> "CachedResponse":
        """The cached form of a response's body."""
        return cls(f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"', body)

    @classmethod
    def decode(cls, stored: bytes) -> "CachedResponse":
        """The inverse of `encode`."""
        etag, _, body = stored.partition(b"\n")
        return cls(etag.decode(), body)

    def encode(self) -> bytes:
        """The form that the second cache level stores."""
        return self.etag.encode() + b"\n" + self.body

    def as_response(self, http: HttpRequest, *, is_private: bool) -> HttpResponse:
        """The HTTP response to `http`. A private one must not be stored on its way to the reader."""
        if is_private:
            return ApiResponse(self.body)
        if http.method == "GET" and self._matches(http.META.get("HTTP_IF_NONE_MATCH", "")):
            return HttpResponseNotModified(headers=HEADERS | {"ETag": self.etag})
        headers = HEADERS | {"ETag": self.etag, "Content-Length": str(len(self.body))}
        return HttpResponse(self.body, content_type=JSON, headers=headers)

    def _matches(self, if_none_match: str) -> bool:
        """Whether the client has this response. A proxy that compresses turns its tag into a weak one."""
        return bool(if_none_match) and any(
            tag.strip().removeprefix("W/") in (self.etag, "*") for tag in if_none_match.split(",")
        )


responses = TwoLevelCache(
    codec=Codec(
        encode=CachedResponse.encode,
        decode=CachedResponse.decode,
        weight=lambda cached: len(cached.body) + 500,
    ),
    capacity=settings.CACHE_L1_RESPONSES_MB * 1024 * 1024,
)


def cached_response(
    request: GraphQLRequest, http: HttpRequest, compute: Callable[[], HttpResponse]
) -> HttpResponse:
    """The response to a public request, from the cache or from `compute`. Counts its popularity."""
    found = _look_up(request, compute)
    if not isinstance(found, CachedResponse):
        return found
    if settings.CACHE_WARM_REQUESTS and not request.is_private:
        popularity.count(request)
    return found.as_response(http, is_private=request.is_private)


def warm(request: GraphQLRequest) -> bool:
    """Execute an anonymous request unless its response is cached. Whether it is cached now.

    Raises InvalidDocumentError or ApiError where it cannot be executed.
    """
    if request.namespaces is None:
        return False
    return isinstance(_look_up(request, lambda: execute(request)), CachedResponse)


def _look_up(request: GraphQLRequest, compute: Callable[[], HttpResponse]) -> CachedResponse | HttpResponse:
    return responses.get_or_compute(
        "response",
        {
            "query": request.query,
            "variables": request.variables,
            "operation": request.operation_name,
            "ranking": file_ranking().fingerprint,  # other weights count as soon as a process has them
        },
        tags=request.namespaces or (),
        compute=lambda: _computed(compute()),
    )


def _computed(response: HttpResponse) -> Computed[CachedResponse | HttpResponse]:
    if isinstance(response, ApiResponse) and response.is_cacheable:
        return Computed(CachedResponse.of(response.content))
    return Computed(response, is_cacheable=False)
