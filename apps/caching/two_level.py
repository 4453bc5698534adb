"""The two-level cache: L1 in the process, L2 in Redis, both keyed by the generations of what an answer depends on."""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import orjson
from cachetools import TTLCache
from django.conf import settings
from django.core.cache import caches
from django_redis.exceptions import ConnectionInterrupted
from prometheus_client import Counter
from redis.exceptions import RedisError

from apps.caching.mirror import GenerationMirror, mirror

logger = logging.getLogger(__name__)

ValueT = TypeVar("ValueT")
LOOKUPS = Counter("jobrec_cache_lookups", "Lookups in the two-level cache", ["name", "answered_by"])


class TwoLevelCache:
    """Caches JSON-serialisable answers. Threads may share it.

    An answer is stored under the generations read **before** it was computed: one that was computed from rows
    that changed meanwhile can never be found again once the change was invalidated.
    """

    def __init__(self, generations: GenerationMirror = mirror) -> None:
        self._generations = generations
        self._lock = threading.Lock()
        self._l1: TTLCache[str, Any] = TTLCache(settings.CACHE_L1_ENTRIES, settings.CACHE_L1_TTL)
        self._flights: dict[str, tuple[threading.Lock, int]] = {}

    def get_or_compute(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        tags: Sequence[str],
        compute: Callable[[], ValueT],
        keep: Callable[[ValueT], bool] = lambda _: True,
    ) -> ValueT:
        """The answer `name` for `arguments`, from L1, else L2, else `compute`, once for all threads that ask.

        What `compute` raises is raised and not cached, nor is an answer that `keep` refuses. Redis may be gone:
        then L1 and `compute` answer.
        """
        key = self._key(name, arguments, tags)
        found = self._l1_get(key)
        if found is not None:
            LOOKUPS.labels(name, "l1").inc()
            return cast("ValueT", found[0])
        with self._one_flight(key):
            found = self._l1_get(key)
            answered_by = "l1"
            if found is None:
                found, answered_by = self._l2_get(key), "l2"
            if found is None:
                found, answered_by = [compute()], "computed"
                if not keep(found[0]):
                    return cast("ValueT", found[0])
                self._l2_set(key, found)
            if answered_by != "l1":
                with self._lock:
                    self._l1[key] = found
        LOOKUPS.labels(name, answered_by).inc()
        return cast("ValueT", found[0])

    def clear_l1(self) -> None:
        with self._lock:
            self._l1.clear()

    def _key(self, name: str, arguments: Mapping[str, Any], tags: Sequence[str]) -> str:
        content = orjson.dumps(
            [name, dict(arguments), list(tags), self._generations.of(tags)],
            option=orjson.OPT_SORT_KEYS,
            default=str,
        )
        return f"answer:{name}:{hashlib.sha256(content).hexdigest()}"

    def _l1_get(self, key: str) -> list[Any] | None:
        with self._lock:
            return cast("list[Any] | None", self._l1.get(key))

    @staticmethod
    def _l2_get(key: str) -> list[Any] | None:
        try:
            return cast("list[Any] | None", caches["default"].get(key))
        except (ConnectionInterrupted, RedisError) as error:
            logger.warning("second cache level cannot be read: %s", error)
            return None

    @staticmethod
    def _l2_set(key: str, value: list[Any]) -> None:
        try:
            caches["default"].set(key, value, settings.CACHE_L2_TTL)
        except (ConnectionInterrupted, RedisError) as error:
            logger.warning("second cache level cannot be written: %s", error)

    @contextmanager
    def _one_flight(self, key: str) -> Iterator[None]:
        """Lets one thread compute `key`; the others wait and then find it in L1."""
        with self._lock:
            lock, waiting = self._flights.get(key, (threading.Lock(), 0))
            self._flights[key] = (lock, waiting + 1)
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, waiting = self._flights.pop(key)
                if waiting > 1:
                    self._flights[key] = (lock, waiting - 1)


cache = TwoLevelCache()
