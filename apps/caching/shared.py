"""The Redis that all web processes share, behind a circuit breaker.

A Redis that does not answer would cost every request one timeout per command. The first failure therefore
opens the circuit for five seconds: callers do without the cache, then one of them tries again. A subscription
that reconnects (mirror.py) closes the circuit at once. Failures are logged here, so that callers need not.
"""

import logging
from collections.abc import Callable
from typing import TypeVar, cast

from circuitbreaker import CircuitBreaker
from django_redis import get_redis_connection
from redis import Redis
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")

breaker = CircuitBreaker(
    failure_threshold=1, recovery_timeout=5, expected_exception=RedisError, name="shared cache"
)


class CacheUnavailableError(Exception):
    """Redis cannot be reached, or was not tried because it failed a moment ago."""


def connection() -> Redis:
    """A client of the shared Redis, from the process's pool."""
    return cast("Redis", get_redis_connection("default"))


def read(command: Callable[[Redis], ResultT]) -> ResultT:
    """The result of a command that reads.

    Raises CacheUnavailableError: at once while the circuit is open, otherwise if Redis does not answer.
    """
    if breaker.opened:
        raise CacheUnavailableError(f"shared cache: not tried, the last call failed: {breaker.last_failure}")
    try:
        with breaker:
            return command(connection())
    except RedisError as error:
        logger.warning("The shared cache does not answer: %s", error)
        raise CacheUnavailableError(f"shared cache: {error}") from error


def write(command: Callable[[Redis], ResultT], *, bypass_breaker: bool = False) -> ResultT:
    """The result of a command that writes. Raises CacheUnavailableError.

    With `bypass_breaker` the command is tried even while the circuit is open: for writes that must not be
    skipped.
    """
    if not bypass_breaker:
        return read(command)
    try:
        return command(connection())
    except RedisError as error:
        raise CacheUnavailableError(f"shared cache: {error}") from error
