"""A copy of the generations in each web process, updated by a subscription.

While the process is subscribed, a lookup costs no round trip. Otherwise it reads from Redis. While Redis is
unavailable the last known generations are used, and the TTL of the cached responses bounds how stale they can
be.
"""

import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import cast

from cachetools import LRUCache
from redis.exceptions import RedisError

from apps.caching import generations, shared
from apps.caching.shared import CacheUnavailableError
from apps.caching.subscription import Subscription

logger = logging.getLogger(__name__)

MAX_TAGS = 100_000
POLL = 2.0  # seconds until the listener notices that it was closed
RECONNECT = 0.5  # seconds

# Generations of an invalidation that is still to come, for responses that are warmed ahead of it.
_planned: ContextVar[Mapping[str, int]] = ContextVar("planned", default=MappingProxyType({}))


class GenerationMirror:
    """The process's copy. Thread-safe. Its listener thread starts with the first lookup, so after a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: LRUCache[str, int] = LRUCache(MAX_TAGS)
        self._subscribed = threading.Event()
        self._closed = threading.Event()
        self._pid = 0

    def of(self, tags: Iterable[str]) -> tuple[int, ...]:
        """The generation of each tag; 0 if Redis is unavailable and the tag was never seen."""
        self._ensure_listener()
        names, planned = list(tags), _planned.get()
        if not planned and self._subscribed.is_set():  # the usual case, on the way of every cache hit
            with self._lock:
                current = tuple(map(self._known.get, names))
            if None not in current:
                return cast("tuple[int, ...]", current)
        with self._lock:
            known = {name: planned.get(name) or self._known.get(name) for name in names}
        unknown = [
            name
            for name in names
            if known[name] is None or not (name in planned or self._subscribed.is_set())
        ]
        if unknown:
            try:
                known |= self.learn(generations.read_tags(unknown))
            except CacheUnavailableError as error:
                logger.debug("generations of %s: %s", unknown, error)
        return tuple(known[name] or 0 for name in names)

    @contextmanager
    def planned_generations(self, planned: Mapping[str, int]) -> Iterator[None]:
        """A context in which this thread sees tags at generations that they will get later."""
        token = _planned.set(planned)
        try:
            yield
        finally:
            _planned.reset(token)

    def learn(self, news: dict[str, int]) -> dict[str, int]:
        """Store generations and return the stored ones. An older one never replaces a newer one."""
        with self._lock:
            for tag, generation in news.items():
                self._known[tag] = max(generation, self._known.get(tag, 0))
            return {tag: self._known[tag] for tag in news}

    def wait_until_subscribed(self, timeout: float) -> bool:
        """Whether the listener is subscribed, after at most `timeout` seconds."""
        self._ensure_listener()
        return self._subscribed.wait(timeout)

    def close(self) -> None:
        """End the listener within POLL seconds, for a process that outlives its Redis."""
        self._closed.set()

    def _ensure_listener(self) -> None:
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid == os.getpid():
                return
            self._pid = os.getpid()
            self._subscribed.clear()
            threading.Thread(target=self._listen, name="cache-invalidation", daemon=True).start()

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                self._follow_channel()
            except (RedisError, OSError) as error:
                if self._subscribed.is_set() and not self._closed.is_set():
                    logger.warning("Lost the subscription to cache invalidations, reconnecting: %s", error)
            self._subscribed.clear()
            time.sleep(RECONNECT)

    def _follow_channel(self) -> None:
        with Subscription(generations.channel()) as subscription:
            while not self._closed.is_set():
                message = subscription.next(timeout=POLL)
                if message is None:
                    continue
                if message["type"] == "subscribe":
                    with self._lock:
                        self._known.clear()  # invalidations before this moment were missed
                    shared.breaker.reset()  # Redis answers again
                    self._subscribed.set()
                elif message["type"] == "message":
                    self.learn(generations.parse_message(message["data"]))


mirror = GenerationMirror()
