"""Rate limits, counted in Redis across all processes."""

import logging
import math
import time
from functools import cache

from django.core.exceptions import ImproperlyConfigured
from limits import RateLimitItem, parse
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from apps.caching import shared
from apps.caching.shared import CacheUnavailableError

logger = logging.getLogger(__name__)


def seconds_to_wait(rate: str, who: str, *, requests: int = 1) -> int | None:
    """Count `requests` of `who` against `rate`, such as 60/minute. An empty rate is no limit.

    Returns None if the request is allowed, otherwise the seconds to wait. Everything is allowed while Redis
    is unavailable. Raises ValueError if `rate` cannot be parsed.
    """
    if not rate:
        return None
    item = _item(rate)
    try:
        if shared.write(lambda _: _limiter().hit(item, who, cost=requests)):
            return None
        resets_at = shared.read(lambda _: _limiter().get_window_stats(item, who).reset_time)
    except CacheUnavailableError as error:
        logger.debug("Cannot count requests: %s", error)
        return None
    return max(1, math.ceil(resets_at - time.time()))


def amount_of(rate: str) -> int:
    """Return how many requests a rate allows. Raises ValueError if it cannot be parsed."""
    return _item(rate).amount


def check_rate(setting: str, rate: str) -> None:
    """Raise ImproperlyConfigured if the rate of a setting cannot be parsed."""
    try:
        if rate:
            _item(rate)
    except ValueError as error:
        raise ImproperlyConfigured(
            f"{setting}={rate} is not a rate: use for example 600/minute, or leave it empty for no limit"
        ) from error


@cache
def _item(rate: str) -> RateLimitItem:
    return parse(rate)


@cache
def _limiter() -> SlidingWindowCounterRateLimiter:
    pool = shared.connection().connection_pool
    return SlidingWindowCounterRateLimiter(
        RedisStorage("redis://", connection_pool=pool, key_prefix="jobrec:rate")
    )
