"""The two-level cache: L1 in the process, L2 in Redis, both keyed by the generations of what an answer depends on."""

import hashlib
import logging
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache as remember
from typing import Any, ClassVar, TypeVar, cast
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
LARGEST_IN_L2 = 512 * 1024  # octets; what is larger nobody asks for often, and some ask to fill the memory
LOOKUPS = Counter("jobrec_cache_lookups", "Lookups in the two-level cache", ["name", "answered_by"])


@remember
def _lookups(name: str, answered_by: str) -> Counter:
    return LOOKUPS.labels(name, answered_by)  # which takes longer than counting


@dataclass(frozen=True)
class Codec:
    """How a value travels to L2 and back, how large it may be there, and how much room it takes in L1."""

    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    weight: Callable[[Any], int]
    largest: int = LARGEST_IN_L2  # octets, as encoded


JSON = Codec(encode=orjson.dumps, decode=orjson.loads, weight=lambda _: 1)


@dataclass(frozen=True)
class Answer:
    """A value, where it came from, and whether it may be kept."""

    value: Any
    source: str
    kept: bool = True


# Whether what is being computed may be kept: not where anything it is made from was not.
_keepable: ContextVar[bool] = ContextVar("keepable", default=True)


class TwoLevelCache:
    """Caches answers of one codec, up to a weight of `room` in L1. Threads may share it.

    An answer is stored under the generations read **before** it was computed: one that was computed from rows
    that changed meanwhile can never be found again once the change was invalidated.
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
            getsizeof=lambda kept: codec.weight(kept[0]),
        )
        self._flights: dict[str, Future[Answer]] = {}
        self._every.add(self)

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

        What `compute` raises is raised and not kept; nor is an answer that `keep` refuses, nor one whose `compute`
        asked a cache for something that was not kept. Threads that waited for one of these compute for themselves.
        Redis may be gone: then L1 and `compute` answer.
        """
        key = self._key(name, arguments, tags)
        found = self._l1_get(key)
        if found is not None:
            _lookups(name, "l1").inc()
            return cast("ValueT", found[0])
        answer = self._fly(key, lambda: self._l2_get(key) or _computed(compute, keep))
        _lookups(name, answer.source).inc()
        return cast("ValueT", answer.value)

    def put(self, name: str, arguments: Mapping[str, Any], value: Any, *, ttl: int) -> None:
        """Keeps what nothing changes, for `ttl` seconds from now in L2: `get_or_compute` without tags then finds it."""
        key = self._key(name, arguments, ())
        self._l1_set(key, value)
        self._l2_set(key, value, ttl)

    def clear_l1(self) -> None:
        with self._lock:
            self._l1.clear()

    @classmethod
    def clear_every_l1(cls) -> None:
        """Of all caches in this process, for one that nobody asks."""
        for each in list(cls._every):
            each.clear_l1()

    def _key(self, name: str, arguments: Mapping[str, Any], tags: Sequence[str]) -> str:
        content = orjson.dumps(
            [name, dict(arguments), list(tags), self._generations.of(tags)],
            option=orjson.OPT_SORT_KEYS,
            default=str,
        )
        return f"jobrec:answer:{name}:{hashlib.sha256(content).hexdigest()}"

    def _fly(self, key: str, find: Callable[[], Answer]) -> Answer:
        """Lets one thread find `key`; the others wait for it, and find for themselves where it is not kept."""
        with self._lock:
            flight = self._flights.get(key)
            leads = flight is None
            if flight is None:
                flight = self._flights[key] = Future()
        if not leads:
            failed = flight.exception() is not None
            return flight.result() if not failed and flight.result().kept else find()
        try:
            answer = find()
            if answer.kept:
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
        kept = (value,)  # None is an answer, too
        with self._lock:
            if self._l1.getsizeof(kept) <= self._l1.maxsize:
                self._l1[key] = kept

    def _l2_get(self, key: str) -> Answer | None:
        try:
            found = shared.read(lambda redis: redis.get(key))
        except CacheUnavailableError as error:
            logger.debug("second cache level cannot be read: %s", error)
            return None
        if found is None:
            return None
        try:
            return Answer(self._codec.decode(cast("bytes", found)), "l2")
        except (ValueError, TypeError, KeyError, zlib.error) as error:
            logger.info("an answer of another version of jobrec is computed anew: %s", error)
            return None

    def _l2_set(self, key: str, value: Any, ttl: int) -> None:
        encoded = self._codec.encode(value)
        if len(encoded) > self._codec.largest:
            return
        try:
            shared.write(lambda redis: redis.set(key, encoded, ex=ttl))
        except CacheUnavailableError as error:
            logger.debug("second cache level cannot be written: %s", error)


def keep_nothing() -> None:
    """Says of what is being computed that it may not be kept."""
    _keepable.set(False)


def is_keepable() -> bool:
    """Whether all that was asked for, for what is being computed, may be kept."""
    return _keepable.get()


def _computed(compute: Callable[[], ValueT], keep: Callable[[ValueT], bool]) -> Answer:
    around = _keepable.get()
    _keepable.set(True)
    kept = False
    try:
        value = compute()
        kept = _keepable.get() and keep(value)
    finally:
        _keepable.set(around and kept)
    return Answer(value, "computed", kept)


cache = TwoLevelCache()
