"""Middleware against malformed cookies."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


class UnreadableCookies:
    """Drop cookies that contain a NUL: PostgreSQL rejects it, so a session lookup would fail."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Drop the cookies and pass the request on."""
        for name in [name for name, value in request.COOKIES.items() if "\x00" in value]:
            del request.COOKIES[name]
        return self._get_response(request)
