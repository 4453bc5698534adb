"""Who asks: a bearer token's user, a session's user, or nobody in particular."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware

from apps.access.services import user_of_token
from apps.api.errors import ForbiddenError, UnauthenticatedError
from apps.api.rates import admit


def is_anonymous(request: HttpRequest) -> bool:
    """Whether the request carries nothing that could tell who asks. Touches neither session nor database."""
    return "HTTP_AUTHORIZATION" not in request.META and settings.SESSION_COOKIE_NAME not in request.COOKIES


def identify(request: HttpRequest) -> None:
    """Sets `request.user` to the user of the bearer token where there is one; checks CSRF where a session asks.

    Raises UnauthenticatedError for a token that is not valid, ForbiddenError for a session without the CSRF token.
    """
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        user = user_of_token(secret.strip())
        if user is None:
            admit(request)  # guesses count
            raise UnauthenticatedError("the bearer token is unknown, expired or revoked")
        request.user = user
    elif request.method == "POST" and request.user.is_authenticated:
        reason = _csrf_reason(request)
        if reason is not None:
            raise ForbiddenError(f"CSRF: {reason} Send the cookie's token as X-CSRFToken.")


class _SessionCsrf(CsrfViewMiddleware):
    """Django's check, asked only for requests that a session cookie authenticates."""

    def _reject(self, request: HttpRequest, reason: str) -> str:
        return reason


def _csrf_reason(request: HttpRequest) -> str | None:
    check = _SessionCsrf(lambda _: HttpResponse())
    check.process_request(request)
    reason: Any = check.process_view(request, lambda *_: HttpResponse(), (), {})
    return None if reason is None else str(reason)
