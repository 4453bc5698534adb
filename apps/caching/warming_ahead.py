"""Warming ahead: popular responses are computed before a run's invalidation makes the old ones unreachable.

1. The invalidation task of a run calls `request`, through a sidecar.
2. A cache warmer that listens claims the request. It computes the popular responses from the rows as they are
   now, and stores them under a generation that nobody reads yet.
3. The warmer calls `finish` and has the run invalidated. The invalidation increments the tags to exactly that
   generation, so the warm responses are found from then on.

An edit in between increments a tag beyond that generation. The run's invalidation then goes beyond it too,
and the warm responses, which may be stale, are never found (see generations.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.conf import settings
from redis.exceptions import RedisError

from apps.caching import generations, shared
from apps.caching.shared import CacheUnavailableError
from apps.caching.subscription import Subscription

REQUESTED = "jobrec:warming-requested:"  # one key per run: a run is warmed once
UNDER_WAY = "jobrec:warming-under-way:"  # one key per run: its time to live is what is left to wait
CLAIMED = "jobrec:warming-claimed:"  # one key per run: of several warmers, one works
GRACE = 5  # seconds after CACHE_WARM_SECONDS until a run is invalidated without the warmer


@dataclass(frozen=True)
class PlannedInvalidation:
    """An invalidation that will follow: of these tags, for this run."""

    run_id: str
    tags: tuple[str, ...]


def request(tags: Sequence[str], *, run_id: str) -> float:
    """Ask the warmers to compute popular responses ahead of an invalidation. Idempotent by `run_id`.

    Returns how long to wait, in seconds, before invalidating: 0 if no warmer listens, or the warmer has
    finished. Raises CacheUnavailableError, or RunIdReusedError if the run_id came with other tags before.
    """
    content = generations.digest(tags).encode()

    def publish_once(redis: Any) -> float:
        under_way = UNDER_WAY + run_id
        if redis.set(REQUESTED + run_id, content, nx=True, ex=generations.RUN_TTL):
            redis.set(under_way, "1", ex=int(settings.CACHE_WARM_SECONDS) + GRACE)
            if not redis.publish(_channel(), orjson.dumps([run_id, list(tags)])):
                redis.delete(under_way)
        elif redis.get(REQUESTED + run_id) not in (content, None):
            raise generations.RunIdReusedError(run_id)
        return float(max(0, redis.pttl(under_way))) / 1000

    return shared.write(publish_once)


def claim(planned: PlannedInvalidation) -> bool:
    """Take the work, so that of all warmers on all hosts one does it. Returns whether this one does.

    Raises CacheUnavailableError.
    """
    key = CLAIMED + planned.run_id
    return bool(shared.write(lambda redis: redis.set(key, "1", nx=True, ex=generations.RUN_TTL)))


def finish(planned: PlannedInvalidation, generation: int) -> None:
    """Record that warm responses are stored under `generation`, so that nobody waits any longer.

    Raises CacheUnavailableError.
    """

    def record(redis: Any) -> None:
        redis.set(generations.WARMED_AHEAD + planned.run_id, str(generation), ex=generations.RUN_TTL)
        redis.delete(UNDER_WAY + planned.run_id)

    shared.write(record)


class WarmingRequests:
    """A warmer's subscription to the requests. It misses those made while it does not listen."""

    def __init__(self) -> None:
        self._subscription: Subscription | None = None

    def next(self, timeout: float) -> PlannedInvalidation | None:
        """The next request, or None after `timeout` seconds. Reconnects when called again after an error.

        Raises CacheUnavailableError.
        """
        try:
            if self._subscription is None:
                self._subscription = Subscription(_channel())
            message = self._subscription.next(timeout=timeout)
        except (RedisError, OSError) as error:
            self.close()
            raise CacheUnavailableError(f"warming requests: {error}") from error
        if message is None or message["type"] != "message":
            return None
        run_id, tags = orjson.loads(message["data"])
        return PlannedInvalidation(run_id, tuple(tags))

    def close(self) -> None:
        """End the subscription, if there is one."""
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None


def _channel() -> str:
    return f"{generations.channel()}:planned"
