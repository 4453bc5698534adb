"""The Redis that all web processes share, asked through a circuit breaker.

Where it does not answer at all, each question would wait for its timeout, and an answer to a reader asks several. One
that failed opens the circuit for five seconds: then one waits again, and the others do without. To do without costs
little, and a subscription that comes back (mirror.py) closes it at once. Each question that was asked in vain is logged
here, so that callers, who do without, need not.
"""

import logging
from collections.abc import Callable
from typing import TypeVar, cast

from circuitbreaker import CircuitBreaker
from django_redis import get_redis_connection
from redis import Redis
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

AnswerT = TypeVar("AnswerT")

breaker = CircuitBreaker(
    failure_threshold=1, recovery_timeout=5, expected_exception=RedisError, name="shared cache"
)


class CacheUnavailableError(Exception):
    """The shared cache cannot be reached, or was not asked since it could not be reached just now."""


def connection() -> Redis:
    return cast("Redis", get_redis_connection("default"))


def ask(question: Callable[[Redis], AnswerT]) -> AnswerT:
    """What `question` gets from Redis, for reads that one can do without. Raises CacheUnavailableError."""
    if breaker.opened:
        raise CacheUnavailableError(f"shared cache: not asked, the last time it said: {breaker.last_failure}")
    try:
        with breaker:
            return question(connection())
    except RedisError as error:
        logger.warning("the shared cache does not answer: %s", error)
        raise CacheUnavailableError(f"shared cache: {error}") from error


def tell(statement: Callable[[Redis], AnswerT]) -> AnswerT:
    """The same for what must be said whenever it can be: it is always tried. Raises CacheUnavailableError."""
    try:
        return statement(connection())
    except RedisError as error:
        raise CacheUnavailableError(f"shared cache: {error}") from error
