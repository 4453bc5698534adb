"""The two-level cache: L1 in the process, L2 in Redis, both keyed by the generations of an answer's tags."""

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
def _lookups(name: str, answered_by: str) -> Counter:
    return LOOKUPS.labels(name, answered_by)  # which takes longer than counting


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
class _Answer:
    """A value, whether it may be cached, and where it came from: l2 or computed."""

    value: Any
    source: str
    is_cacheable: bool = True


class TwoLevelCache:
    """Caches answers of one codec, up to a weight of `room` in L1. Threads may share it.

    An answer is stored under the generations read **before** it was computed. One computed from rows that changed
    during the computation can therefore not be found once the change was invalidated.
    """

    _every: "ClassVar[WeakSet[TwoLevelCache]]" = WeakSet()

    def __init__(
        self, generations: GenerationMirror = mirror, *, codec: Codec = JSON, room: int | None = None
    ) -> None:
        self._generations = generations
        self._codec = codec
        self._lock = threading.Lock()
        self._l1: TTLCache[str, Any] = TTLCache(
            room or settings.CACHE_L1_ENTRIES,
            settings.CACHE_L1_TTL,
            getsizeof=lambda entry: codec.weight(entry[0]),
        )
        self._flights: dict[str, Future[_Answer]] = {}
        self._every.add(self)

    def get_or_compute(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        tags: Sequence[str],
        compute: Callable[[], Computed[ValueT]],
    ) -> ValueT:
        """The answer `name` for `arguments`: from L1, else from L2, else computed once for all threads that wait.

        An exception of `compute` is raised and not cached; nor is a value that is not cacheable. Threads that waited
        for one of these compute for themselves. Without Redis, L1 and `compute` answer.
        """
        key = self._key(name, arguments, tags)
        found = self._l1_get(key)
        if found is not None:
            _lookups(name, "l1").inc()
            return cast("ValueT", found[0])
        answer = self._fly(key, lambda: self._l2_get(key) or _answer(compute()))
        _lookups(name, answer.source).inc()
        return cast("ValueT", answer.value)

    def put(self, name: str, arguments: Mapping[str, Any], value: Any, *, ttl: int) -> None:
        """Store a value that never changes, in L2 for `ttl` seconds. `get_or_compute` without tags finds it."""
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

    def _fly(self, key: str, find: Callable[[], _Answer]) -> _Answer:
        """Let one thread find `key`. The others wait for it, and find for themselves if it is not cacheable."""
        with self._lock:
            flight = self._flights.get(key)
            leads = flight is None
            if flight is None:
                flight = self._flights[key] = Future()
        if not leads:
            failed = flight.exception() is not None
            return flight.result() if not failed and flight.result().is_cacheable else find()
        try:
            answer = find()
            if answer.is_cacheable:
                self._l1_set(key, answer.value)
                if answer.source == "computed":
                    self._l2_set(key, answer.value, settings.CACHE_L2_TTL)
        except BaseException as error:
            flight.set_exception(error)
            raise
        else:
            flight.set_result(answer)
        finally:
            with self._lock:
                del self._flights[key]
        return answer

    def _l1_get(self, key: str) -> tuple[Any] | None:
        with self._lock:
            return cast("tuple[Any] | None", self._l1.get(key))

    def _l1_set(self, key: str, value: Any) -> None:
        entry = (value,)  # None is a value, too
        with self._lock:
            if self._l1.getsizeof(entry) <= self._l1.maxsize:
                self._l1[key] = entry

    def _l2_get(self, key: str) -> _Answer | None:
        try:
            found = shared.read(lambda redis: redis.get(key))
        except CacheUnavailableError as error:
            logger.debug("cannot read the second cache level: %s", error)
            return None
        if found is None:
            return None
        try:
            return _Answer(self._codec.decode(cast("bytes", found)), "l2")
        except (ValueError, TypeError, KeyError, zlib.error) as error:
            logger.info("a cached answer of another version of jobrec is computed again: %s", error)
            return None

    def _l2_set(self, key: str, value: Any, ttl: int) -> None:
        encoded = self._codec.encode(value)
        if len(encoded) > self._codec.max_bytes:
            return
        try:
            shared.write(lambda redis: redis.set(key, encoded, ex=ttl))
        except CacheUnavailableError as error:
            logger.debug("cannot write the second cache level: %s", error)


def _answer(computed: Computed[Any]) -> _Answer:
    return _Answer(computed.value, "computed", computed.is_cacheable)


cache = TwoLevelCache()
