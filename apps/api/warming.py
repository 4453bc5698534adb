"""Warming of the response cache: responses to popular requests are computed before anyone sends them."""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.conf import settings

from apps.api.cache import warm
from apps.api.document import InvalidDocumentError
from apps.api.errors import ApiError
from apps.api.request import GraphQLRequest
from apps.caching import shared, tags
from apps.caching.mirror import mirror

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WarmingResult:
    """Responses to `cached` of the `requests` are in the cache; the others have errors, or time ran out."""

    requests: int
    cached: int
    seconds: float


def generations() -> tuple[int, ...]:
    """A value that changes when responses over whole namespaces are invalidated. Rarely asks Redis."""
    return mirror.of(tag for namespace in sorted(tags.NAMESPACES) for tag in tags.of_list(namespace))


def claim(current: tuple[int, ...]) -> bool:
    """Whether this process, of all warmers on all hosts, warms for these generations.

    Raises CacheUnavailableError.
    """
    key = f"jobrec:warmed:{'-'.join(map(str, current))}"
    # A claim outlives what was warmed under it, so a process that starts later finds work to do.
    return bool(shared.write(lambda redis: redis.set(key, "1", nx=True, ex=settings.CACHE_L2_TTL)))


def warm_all(
    requests: Iterable[GraphQLRequest], *, seconds: float, stopped: Callable[[], bool]
) -> WarmingResult:
    """Warm one request after the other, for `seconds` at most. Requests that fail are skipped."""
    started = time.monotonic()
    total = cached = 0
    for request in requests:
        total += 1
        if stopped() or time.monotonic() - started > seconds:
            continue
        try:
            cached += warm(request)
        except (ApiError, InvalidDocumentError) as error:
            logger.debug("Cannot warm a request: %s", type(error).__name__)
    return WarmingResult(total, cached, time.monotonic() - started)
