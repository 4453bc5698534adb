"""Cookies that no browser sends."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


class UnreadableCookies:
    """Middleware that drops cookies with a NUL: PostgreSQL takes none, so that looking a session up would fail."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        for name in [name for name, value in request.COOKIES.items() if "\x00" in value]:
            del request.COOKIES[name]
        return self._get_response(request)
