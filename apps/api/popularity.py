"""Popularity of anonymous requests: counted in each web process, summed up in Redis, one sorted set a day.

Private requests (`GraphQLRequest.is_private`) are not counted, so that nothing about a person is stored.
"""

import logging
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import cast

import orjson
from redis import Redis

from apps.api.request import GraphQLRequest
from apps.caching import shared
from apps.caching.shared import CacheUnavailableError

logger = logging.getLogger(__name__)

KEY = "jobrec:popularity:"
MAX_REQUESTS = 1_000  # of a day
MAX_BYTES = 2_000  # of a request
FLUSH_INTERVAL = 2.0  # seconds
WEIGHT_OF_YESTERDAY = 0.5


class Popularity:
    """Counts of this process. Threads may share it.

    Its own thread adds the counts to Redis, later if Redis is unavailable. The thread starts with the first
    count, hence after a fork.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[bytes, int] = {}
        self._pid = 0

    def count(self, request: GraphQLRequest) -> None:
        """Count a request, without a round trip to Redis."""
        packed = orjson.dumps(
            [request.query, request.variables, request.operation_name], option=orjson.OPT_SORT_KEYS
        )
        if len(packed) > MAX_BYTES:
            return
        with self._lock:
            self._add(packed, 1)
            if self._pid != os.getpid():
                self._pid = os.getpid()
                threading.Thread(target=self._flush_forever, name="popularity", daemon=True).start()

    def _flush_forever(self) -> None:
        while True:
            time.sleep(FLUSH_INTERVAL)
            with self._lock:
                counts, self._counts = self._counts, {}
            if not counts:
                continue
            try:
                _add_to_redis(counts)
            except CacheUnavailableError as error:
                logger.debug("Cannot add the popularity of requests, trying again later: %s", error)
                with self._lock:
                    for packed, times in counts.items():
                        self._add(packed, times)

    def _add(self, packed: bytes, times: int) -> None:
        if packed in self._counts or len(self._counts) < MAX_REQUESTS:
            self._counts[packed] = self._counts.get(packed, 0) + times


def popular_requests(count: int) -> list[GraphQLRequest]:
    """The `count` most popular requests of yesterday and today, the most popular first.

    Raises CacheUnavailableError.
    """
    now = datetime.now(UTC)
    days = {_key(now): 1.0, _key(now - timedelta(days=1)): WEIGHT_OF_YESTERDAY}
    ascending = cast("list[bytes]", shared.read(lambda redis: redis.zunion(days)))
    return [GraphQLRequest(*orjson.loads(packed)) for packed in ascending[::-1][:count]]


def _add_to_redis(counts: dict[bytes, int]) -> None:
    key = _key(datetime.now(UTC))

    def add(redis: Redis) -> None:
        with redis.pipeline() as pipeline:
            for packed, times in counts.items():
                pipeline.zincrby(key, times, packed)
            pipeline.zremrangebyrank(key, 0, -MAX_REQUESTS - 1)
            pipeline.expire(key, timedelta(days=2))
            pipeline.execute()

    shared.write(add)


def _key(moment: datetime) -> str:
    return f"{KEY}{moment.date().isoformat()}"


popularity = Popularity()
