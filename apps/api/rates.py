"""How often one may ask. An answer that the response cache gives costs nothing and is not counted."""

from ipaddress import IPv6Address, ip_network

from django.conf import settings
from django.http import HttpRequest

from apps.access.rates import allowance, check_rate
from apps.api.errors import LimitError

_COUNTED = "_jobrec_counted"

for _setting in (
    "RATE_LIMIT_ANONYMOUS",
    "RATE_LIMIT_SIGNED_IN",
    "RATE_LIMIT_LOGIN",
):  # at the start, and not at the first request
    check_rate(_setting, getattr(settings, _setting))


def admit(request: HttpRequest) -> None:
    """Counts the request, once, against its user or, where nobody is signed in, its address. Raises LimitError."""
    if hasattr(request, _COUNTED):
        return
    setattr(request, _COUNTED, True)
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        name, who = "RATE_LIMIT_SIGNED_IN", f"user-{user.pk}"
    else:
        name, who = "RATE_LIMIT_ANONYMOUS", f"address-{address_of(request)}"
    rate = getattr(settings, name)
    wait = allowance(rate, who)
    if wait is not None:
        error = LimitError(
            "RATE_LIMITED",
            f"too many requests, try again in {wait} s",
            limit=name,
            bound=rate,
            status=429,
        )
        error.headers = {"Retry-After": str(wait)}
        raise error


def address_of(request: HttpRequest) -> str:
    """The client's: what the last of TRUSTED_PROXIES proxies saw, the peer's where there are none.

    Of IPv6 the network, since a single host has all addresses of one.
    """
    proxies = settings.TRUSTED_PROXIES
    seen = [each.strip() for each in request.headers.get("X-Forwarded-For", "").split(",") if each.strip()]
    given = seen[-proxies] if proxies and len(seen) >= proxies else str(request.META.get("REMOTE_ADDR", ""))
    try:
        address = IPv6Address(given)
    except ValueError:
        return given
    return str(address.ipv4_mapped or ip_network((address.packed, 64), strict=False))
