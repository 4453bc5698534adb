"""Pages for the programs of an operator: from this machine, or with a token."""

from collections.abc import Callable
from hmac import compare_digest
from ipaddress import ip_address
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse

View = Callable[[HttpRequest], Any]
# A proxy on this machine adds one of these to what it passes on from elsewhere.
_FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")


def for_operators(view: View) -> View:
    """Answer requests from this machine and those with METRICS_TOKEN as a bearer token; 401 for others."""
    if iscoroutinefunction(view):

        async def respond_async(request: HttpRequest) -> HttpResponse:
            return await view(request) if _is_allowed(request) else _refusal()

        return respond_async

    def respond(request: HttpRequest) -> HttpResponse:
        response: HttpResponse = view(request) if _is_allowed(request) else _refusal()
        return response

    return respond


def _refusal() -> HttpResponse:
    return HttpResponse(
        "Only from this machine, or with Authorization: Bearer METRICS_TOKEN.\n",
        status=401,
        content_type="text/plain",
        headers={"WWW-Authenticate": "Bearer"},
    )


def _is_allowed(request: HttpRequest) -> bool:
    return _is_from_this_machine(request) or _has_token(request)


def _is_from_this_machine(request: HttpRequest) -> bool:
    if any(name in request.META for name in _FORWARDED):
        return False
    try:
        return ip_address(str(request.META.get("REMOTE_ADDR", ""))).is_loopback
    except ValueError:
        return False


def _has_token(request: HttpRequest) -> bool:
    given = str(request.META.get("HTTP_AUTHORIZATION", ""))
    expected = f"Bearer {settings.METRICS_TOKEN}"
    return bool(settings.METRICS_TOKEN) and compare_digest(given.encode(), expected.encode())
