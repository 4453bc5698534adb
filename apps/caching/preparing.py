"""Answers computed ahead of an invalidation, so that those asked most are there the moment it comes.

Whoever will invalidate for a run says so before. Where a cache warmer listens, it answers the popular requests from the
rows as they are now, under a generation that nobody reads yet, and says when it is done; the invalidation then raises
to that very generation. Was a tag raised meanwhile, by an edit, then what was prepared may be stale: the invalidation
raises beyond it (see generations.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.conf import settings
from redis.exceptions import RedisError

from apps.caching import generations
from apps.caching.shared import CacheUnavailableError, ask
from apps.caching.subscription import Subscription

WANTED = "jobrec:prepare:"  # a run for which it was asked
AT_WORK = "jobrec:preparing:"  # a run that is waited for
TAKEN = "jobrec:prepared-by:"  # a run that a warmer took
GRACE = 5  # seconds beyond CACHE_WARM_SECONDS after which nobody waits any more


@dataclass(frozen=True)
class Upcoming:
    """An invalidation that will come."""

    run_id: str
    tags: tuple[str, ...]


def prepare(tags: Sequence[str], *, run_id: str) -> bool:
    """Asks the warmers once for each run. Whether one is at work now. Raises CacheUnavailableError."""

    def asked(redis: Any) -> bool:
        if not redis.set(WANTED + run_id, "1", nx=True, ex=generations.RUN_TTL):
            return bool(redis.exists(AT_WORK + run_id))
        redis.set(AT_WORK + run_id, "1", ex=int(settings.CACHE_WARM_SECONDS) + GRACE)
        if redis.publish(_channel(), orjson.dumps([run_id, list(tags)])):
            return True
        redis.delete(AT_WORK + run_id)
        return False

    return ask(asked)


def take(upcoming: Upcoming) -> bool:
    """Whether it is this warmer that prepares, of those of all hosts. Raises CacheUnavailableError."""
    return bool(ask(lambda redis: redis.set(TAKEN + upcoming.run_id, "1", nx=True, ex=generations.RUN_TTL)))


def prepared(upcoming: Upcoming, generation: int) -> None:
    """Says that answers are held for `generation`, and that nobody need wait. Raises CacheUnavailableError."""

    def said(redis: Any) -> None:
        redis.set(generations.PREPARED + upcoming.run_id, str(generation), ex=generations.RUN_TTL)
        redis.delete(AT_WORK + upcoming.run_id)

    ask(said)


class Announcements:
    """What `prepare` asks for, as a warmer hears it: what was asked while it did not listen is not for it."""

    def __init__(self) -> None:
        self._subscription: Subscription | None = None

    def next(self, timeout: float) -> Upcoming | None:
        """The next one, None after `timeout` seconds. Raises CacheUnavailableError; call it again later."""
        try:
            if self._subscription is None:
                self._subscription = Subscription(_channel())
            message = self._subscription.next(timeout=timeout)
        except (RedisError, OSError) as error:
            self.close()
            raise CacheUnavailableError(f"announcements cannot be followed: {error}") from error
        if message is None or message["type"] != "message":
            return None
        run_id, tags = orjson.loads(message["data"])
        return Upcoming(run_id, tuple(tags))

    def close(self) -> None:
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None


def _channel() -> str:
    return f"{generations.channel()}:upcoming"
