"""Admission of a request: who sends it, and whether the rate limit allows one more.

A response from the response cache costs next to nothing and is not counted.
"""

import math
from ipaddress import IPv6Address, ip_network
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware

from apps.access.rates import amount_of, check_rate, seconds_to_wait
from apps.access.services import user_of_token
from apps.api.errors import ForbiddenError, LimitError, UnauthenticatedError

for _setting in ("RATE_LIMIT_ANONYMOUS", "RATE_LIMIT_SIGNED_IN", "RATE_LIMIT_LOGIN"):
    check_rate(_setting, getattr(settings, _setting))  # fail at the start, not at the first request


class Reader:
    """Who sends a request: the owner of a bearer token, the user of a session, or anybody at an address."""

    user: Any = AnonymousUser()

    def __init__(self, address: str | None = None, *, is_anonymous: bool = True) -> None:
        """`address`: of the client; None for the cache warmer, which is not counted.

        `is_anonymous`: the request carries no credentials; otherwise call `identify` before `admit`.
        """
        self.is_anonymous = is_anonymous
        self._address = address
        self._is_admitted = address is None

    @classmethod
    def of(cls, http: HttpRequest) -> "Reader":
        """The reader who sends `http`. Reads neither session nor database."""
        has_credentials = "HTTP_AUTHORIZATION" in http.META or settings.SESSION_COOKIE_NAME in http.COOKIES
        return cls(_client_address(http), is_anonymous=not has_credentials)

    def identify(self, http: HttpRequest) -> None:
        """Set `user` from the bearer token or the session of `http`; check CSRF for a session.

        Raises UnauthenticatedError for an invalid token, ForbiddenError for a session without the CSRF token.
        """
        authorization = http.headers.get("Authorization")
        if authorization is not None and not authorization.strip():
            # What the web server makes of a header that is not ASCII. Its sender believes to be signed in.
            self.admit()
            raise UnauthenticatedError(
                "Authorization: is empty or not ASCII; send a bearer token, or leave it out"
            )
        scheme, _, secret = (authorization or "").partition(" ")
        if scheme.lower() == "bearer":
            user = user_of_token(secret.strip())
            if user is None:
                self.admit()  # guesses count
                raise UnauthenticatedError("the bearer token is unknown, expired or revoked")
            self.user = user
            return
        self.user = http.user
        if http.method == "POST" and self.user.is_authenticated:
            reason = _csrf_failure(http)
            if reason is not None:
                raise ForbiddenError(f"CSRF: {reason} Send the cookie's token as X-CSRFToken.")

    def admit(self) -> None:
        """Count the request against the rate of the user, or of the address of an anonymous reader, once.

        Raises LimitError when the rate is exceeded.
        """
        if self._is_admitted:
            return
        self._is_admitted = True
        self._count(1)

    def charge(self, cost: int) -> None:
        """Count what a request of this GraphQL cost is worth beyond the one that `admit` counted.

        One request never counts more than the whole rate, or it could never be answered. Raises LimitError.
        """
        requests = math.ceil(cost / settings.RATE_LIMIT_COST)
        if requests > 1 and self._address is not None:
            self._count(requests, is_admitted=True)

    def _count(self, requests: int, *, is_admitted: bool = False) -> None:
        if self.user.is_authenticated:
            setting, who = "RATE_LIMIT_SIGNED_IN", f"user-{self.user.pk}"
        else:
            setting, who = "RATE_LIMIT_ANONYMOUS", f"address-{_network_of(self._address or '')}"
        rate = getattr(settings, setting)
        if is_admitted:
            requests = (min(requests, amount_of(rate)) if rate else requests) - 1
        seconds = seconds_to_wait(rate, who, requests=requests) if requests else None
        if seconds is not None:
            error = LimitError(
                "RATE_LIMITED",
                f"too many requests, try again in {seconds} s",
                limit=setting,
                bound=rate,
                status=429,
            )
            error.headers = {"Retry-After": str(seconds)}
            raise error


def address_of(http: HttpRequest) -> str:
    """The address that rates are counted for. Of IPv6 the /64 network: one host has all its addresses."""
    return _network_of(_client_address(http))


def _client_address(http: HttpRequest) -> str:
    """The address that the outermost of TRUSTED_PROXIES proxies saw; the peer's without proxies."""
    peer = str(http.META.get("REMOTE_ADDR", ""))
    proxies = settings.TRUSTED_PROXIES
    if not proxies:
        return peer
    seen = [each.strip() for each in http.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if each.strip()]
    return seen[-proxies] if len(seen) >= proxies else peer


def _network_of(given: str) -> str:
    try:
        address = IPv6Address(given)
    except ValueError:
        return given
    return str(address.ipv4_mapped or ip_network((address.packed, 64), strict=False))


class _SessionCsrf(CsrfViewMiddleware):
    """Django's CSRF check, for requests that a session cookie authenticates."""

    def _reject(self, request: HttpRequest, reason: str) -> str:
        return reason


def _csrf_failure(http: HttpRequest) -> str | None:
    check = _SessionCsrf(lambda _: HttpResponse())
    check.process_request(http)
    reason: Any = check.process_view(http, lambda *_: HttpResponse(), (), {})
    return None if reason is None else str(reason)
