"""Which circuit breakers are open, in any process: noted in Redis, shown in the admin and in the metrics.

A breaker lives in the process that calls. Others see it by a note that its process makes when it opens, renews with each
call that still fails, and removes when it closes; one whose process died counts no more after a while.
"""

import logging
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, cast

import orjson
from django.conf import settings
from django_redis import get_redis_connection
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

NOTES = "jobrec:breakers"  # one hash, so that whoever looks need not search all of the cache
TTL = 600  # seconds without a further failing call


@dataclass(frozen=True)
class OpenBreaker:
    """Calls from `process` to `address` are not made for now; the last one failed with `error`, at `since` (ISO)."""

    process: str
    address: str
    error: str
    since: str


def note_open(address: str, error: str) -> None:
    """Notes that this process's breaker for `address` is open. Without Redis, the log alone says so."""
    note = OpenBreaker(
        settings.PROCESS_NAME, address, error[:300], datetime.now(UTC).isoformat(timespec="seconds")
    )
    try:
        with _redis().pipeline() as pipeline:
            pipeline.hset(
                NOTES, _field(address), orjson.dumps({"until": time.time() + TTL, "note": asdict(note)})
            )
            pipeline.expire(NOTES, TTL)
            pipeline.execute()
    except RedisError as gone:
        logger.warning("%s: breaker is open (%s), and that cannot be noted: %s", address, error, gone)


def note_closed(address: str) -> None:
    try:
        _redis().hdel(NOTES, _field(address))
    except RedisError as gone:
        logger.warning("%s: breaker is closed, and that cannot be noted: %s", address, gone)


def open_breakers() -> list[OpenBreaker]:
    """Those of all processes. Raises RedisError."""
    notes = cast("dict[bytes, bytes]", _redis().hgetall(NOTES))
    made = [orjson.loads(notes[field]) for field in sorted(notes)]
    return [OpenBreaker(**each["note"]) for each in made if each["until"] > time.time()]


class BreakerCollector(Collector):
    """`jobrec_circuit_breaker_open`: one sample for each open breaker of any process."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        gauge = GaugeMetricFamily(
            "jobrec_circuit_breaker_open", "Circuit breakers that are open now", labels=["process", "address"]
        )
        try:
            for each in open_breakers():
                gauge.add_metric([each.process, each.address], 1)
        except RedisError as gone:
            logger.warning("the breakers' states cannot be read: %s", gone)
            return
        yield gauge

    def describe(self) -> list[Any]:
        return []  # else registering it would already ask Redis


def _field(address: str) -> str:
    return f"{settings.PROCESS_NAME}:{os.getpid()}:{address}"


def _redis() -> Redis:
    return cast("Redis", get_redis_connection("default"))
