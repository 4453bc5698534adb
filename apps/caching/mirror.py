"""Each web process's own copy of the generations, kept fresh by a subscription.

While subscribed, a lookup costs no round trip. While not, it asks Redis; while Redis is gone, the last known
generations serve and the TTL of the cached answers bounds how stale they can be.
"""

import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

from cachetools import LRUCache
from redis.exceptions import RedisError

from apps.caching import generations, shared
from apps.caching.shared import CacheUnavailableError
from apps.caching.subscription import Subscription

logger = logging.getLogger(__name__)

KNOWN_TAGS = 100_000
POLL = 2.0  # seconds between looks at whether it is closed
RECONNECT = 0.5  # seconds


# Generations that are not raised yet, for answers that are computed ahead of that.
_ahead: ContextVar[Mapping[str, int]] = ContextVar("ahead", default=MappingProxyType({}))


class GenerationMirror:
    """Threads may share it. Its own thread starts with the first lookup, so after a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: LRUCache[str, int] = LRUCache(KNOWN_TAGS)
        self._subscribed = threading.Event()
        self._closed = threading.Event()
        self._pid = 0

    def of(self, tags: Iterable[str]) -> tuple[int, ...]:
        """The generation of each tag, 0 where Redis is gone and the tag was never seen."""
        self._ensure_listener()
        names, ahead = list(tags), _ahead.get()
        with self._lock:
            known = {name: ahead.get(name) or self._known.get(name) for name in names}
        unknown = [
            name for name in names if known[name] is None or not (name in ahead or self._subscribed.is_set())
        ]
        if unknown:
            try:
                known |= self.learn(generations.read_tags(unknown))
            except CacheUnavailableError as error:
                logger.debug("generations of %s: %s", unknown, error)
        return tuple(known[name] or 0 for name in names)

    @contextmanager
    def ahead(self, upcoming: Mapping[str, int]) -> Iterator[None]:
        """Within it, in this thread, the tags of `upcoming` have the generations that they will be raised to."""
        token = _ahead.set(upcoming)
        try:
            yield
        finally:
            _ahead.reset(token)

    def learn(self, news: dict[str, int]) -> dict[str, int]:
        """Takes over generations; an older one never replaces a newer one, in whatever order they arrive."""
        with self._lock:
            for tag, generation in news.items():
                self._known[tag] = max(generation, self._known.get(tag, 0))
            return {tag: self._known[tag] for tag in news}

    def wait_until_subscribed(self, timeout: float) -> bool:
        self._ensure_listener()
        return self._subscribed.wait(timeout)

    def close(self) -> None:
        """Ends the listener at its next look, for a process that outlives its Redis on purpose."""
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
                    logger.warning("cache invalidations cannot be followed, trying again: %s", error)
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
                        self._known.clear()  # what was raised before this moment was not heard
                    shared.breaker.reset()  # Redis answers: nobody need wait before asking it
                    self._subscribed.set()
                elif message["type"] == "message":
                    self.learn(generations.parse_message(message["data"]))


mirror = GenerationMirror()
