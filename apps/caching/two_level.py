"""The two-level cache: L1 in the process, L2 in Redis. Keys contain the generations of the value's tags."""

import hashlib
import logging
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache as remember
from typing import Any, ClassVar, Generic, TypeVar, cast
from weakref import WeakSet

import orjson
from cachetools import TTLCache
from django.conf import settings
from prometheus_client import Counter

from apps.caching import shared
from apps.caching.mirror import GenerationMirror, mirror
from apps.caching.shared import CacheUnavailableError

logger = logging.getLogger(__name__)

ValueT = TypeVar("ValueT")
MAX_L2_BYTES = 512 * 1024  # of an encoded value; larger ones are rarely read again and would fill the memory
LOOKUPS = Counter("jobrec_cache_lookups", "Lookups in the two-level cache", ["name", "answered_by"])


@remember
def _counter(name: str, answered_by: str) -> Counter:
    return LOOKUPS.labels(name, answered_by)  # takes longer than counting


@dataclass(frozen=True)
class Codec:
    """How L2 stores a value, how large it may be there, and its weight in L1."""

    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    weight: Callable[[Any], int]
    max_bytes: int = MAX_L2_BYTES  # as encoded


JSON = Codec(encode=orjson.dumps, decode=orjson.loads, weight=lambda _: 1)


@dataclass(frozen=True)
class Computed(Generic[ValueT]):
    """A value that was computed, and whether it may be cached."""

    value: ValueT
    is_cacheable: bool = True


@dataclass(frozen=True)
class _Lookup:
    """A value with its source (l2 or computed), and whether it may be cached."""

    value: Any
    source: str
    is_cacheable: bool = True


class TwoLevelCache:
    """Caches values of one codec, in L1 up to the weight `capacity`. Threads may share it.

    A value is stored under the generations read **before** it was computed. One computed from rows that
    changed during the computation can therefore not be found once the change was invalidated.
    """

    _every: "ClassVar[WeakSet[TwoLevelCache]]" = WeakSet()

    def __init__(
        self, generations: GenerationMirror = mirror, *, codec: Codec = JSON, capacity: int | None = None
    ) -> None:
        self._generations = generations
        self._codec = codec
        self._lock = threading.Lock()
        self._l1: TTLCache[str, Any] = TTLCache(
            capacity or settings.CACHE_L1_ENTRIES,
            settings.CACHE_L1_TTL,
            getsizeof=lambda entry: codec.weight(entry[0]),
        )
        self._pending: dict[str, Future[_Lookup]] = {}
        self._every.add(self)

    def get_or_compute(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        tags: Sequence[str],
        compute: Callable[[], Computed[ValueT]],
    ) -> ValueT:
        """The value `name` for `arguments`, from L1, from L2, or computed once for all waiting threads.

        An exception of `compute` is raised and not cached; nor is a value that is not cacheable. Threads that
        waited for one of these compute for themselves. Without Redis, values come from L1 and `compute`.
        """
        key = self._key(name, arguments, tags)
        entry = self._l1_get(key)
        if entry is not None:
            _counter(name, "l1").inc()
            return cast("ValueT", entry[0])

        def find() -> _Lookup:
            stored = self._l2_get(key)
            if stored is not None:
                return stored
            computed = compute()
            return _Lookup(computed.value, "computed", computed.is_cacheable)

        found = self._find_once(key, find)
        _counter(name, found.source).inc()
        return cast("ValueT", found.value)

    def put(self, name: str, arguments: Mapping[str, Any], value: Any, *, ttl: int) -> None:
        """Store a value that never changes for `ttl` seconds. `get_or_compute` without tags finds it."""
        key = self._key(name, arguments, ())
        self._l1_set(key, value)
        self._l2_set(key, value, ttl)

    def clear_l1(self) -> None:
        """Empty this cache's first level."""
        with self._lock:
            self._l1.clear()

    @classmethod
    def clear_every_l1(cls) -> None:
        """Empty the first level of all caches in this process."""
        for each in list(cls._every):
            each.clear_l1()

    def _key(self, name: str, arguments: Mapping[str, Any], tags: Sequence[str]) -> str:
        content = orjson.dumps(
            [name, dict(arguments), list(tags), self._generations.of(tags)],
            option=orjson.OPT_SORT_KEYS,
            default=str,
        )
        return f"jobrec:answer:{name}:{hashlib.sha256(content).hexdigest()}"

    def _find_once(self, key: str, find: Callable[[], _Lookup]) -> _Lookup:
        """Let one thread find `key`. The others wait; if it is not cacheable, they find it themselves."""
        with self._lock:
            pending = self._pending.get(key)
            leads = pending is None
            if pending is None:
                pending = self._pending[key] = Future()
        if not leads:
            failed = pending.exception() is not None
            return pending.result() if not failed and pending.result().is_cacheable else find()
        try:
            found = find()
            if found.is_cacheable:
                self._l1_set(key, found.value)
                if found.source == "computed":
                    self._l2_set(key, found.value, settings.CACHE_L2_TTL)
        except BaseException as error:
            pending.set_exception(error)
            raise
        else:
            pending.set_result(found)
        finally:
            with self._lock:
                del self._pending[key]
        return found

    def _l1_get(self, key: str) -> tuple[Any] | None:
        with self._lock:
            return cast("tuple[Any] | None", self._l1.get(key))

    def _l1_set(self, key: str, value: Any) -> None:
        entry = (value,)  # None is a value, too
        with self._lock:
            if self._l1.getsizeof(entry) <= self._l1.maxsize:
                self._l1[key] = entry

    def _l2_get(self, key: str) -> _Lookup | None:
        try:
            stored = shared.read(lambda redis: redis.get(key))
        except CacheUnavailableError as error:
            logger.debug("Cannot read the second cache level: %s", error)
            return None
        if stored is None:
            return None
        try:
            return _Lookup(self._codec.decode(cast("bytes", stored)), "l2")
        except (ValueError, TypeError, KeyError, zlib.error) as error:
            logger.info(
                "Cannot decode a cached value of another version of jobrec, computing it again: %s", error
            )
            return None

    def _l2_set(self, key: str, value: Any, ttl: int) -> None:
        encoded = self._codec.encode(value)
        if len(encoded) > self._codec.max_bytes:
            return
        try:
            shared.write(lambda redis: redis.set(key, encoded, ex=ttl))
        except CacheUnavailableError as error:
            logger.debug("Cannot write the second cache level: %s", error)


cache = TwoLevelCache()
