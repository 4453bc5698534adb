"""Rates, counted in Redis for all processes together."""

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


def allowance(rate: str, who: str) -> int | None:
    """Counts one request of `who` against `rate`, such as 60/minute; an empty rate is no limit.

    None where it is allowed, else the seconds to wait. Where Redis is gone everything is allowed, and that is logged.
    Raises ValueError for a rate that cannot be read.
    """
    if not rate:
        return None
    item = _item(rate)
    try:
        if shared.write(lambda _: _limiter().hit(item, who)):
            return None
        resets_at = shared.read(lambda _: _limiter().get_window_stats(item, who).reset_time)
    except CacheUnavailableError as error:
        logger.debug("requests are not counted: %s", error)
        return None
    return max(1, math.ceil(resets_at - time.time()))


def check_rate(setting: str, rate: str) -> None:
    """Raises ImproperlyConfigured for a rate that cannot be read."""
    try:
        if rate:
            _item(rate)
    except ValueError as error:
        raise ImproperlyConfigured(
            f"{setting}={rate}: not a rate such as 600/minute; empty is no limit"
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
