"""Which anonymous requests are asked most: counted in each web process, summed up in Redis, day by day.

Requests about a person (apps/api/fields.py) or with a long text are not counted, so that nothing of them is kept.
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

KEY = "jobrec:asked:"
KEPT = 1_000  # requests of a day
LARGEST = 2_000  # octets of a request
CARRY_EVERY = 2.0  # seconds
YESTERDAY = 0.5  # weight of the day before


class Popularity:
    """Threads may share it. Its own thread starts with the first count, so after a fork.

    What cannot be carried while Redis is away is carried when it is back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted: dict[bytes, int] = {}
        self._pid = 0

    def count(self, requested: GraphQLRequest) -> None:
        """Costs no round trip: a thread carries the counts to Redis."""
        request = orjson.dumps(
            [requested.query, requested.variables, requested.operation_name], option=orjson.OPT_SORT_KEYS
        )
        if len(request) > LARGEST:
            return
        with self._lock:
            self._note(request, 1)
            if self._pid != os.getpid():
                self._pid = os.getpid()
                threading.Thread(target=self._carry, name="popularity", daemon=True).start()

    def _carry(self) -> None:
        while True:
            time.sleep(CARRY_EVERY)
            with self._lock:
                counted, self._counted = self._counted, {}
            if not counted:
                continue
            try:
                _add(counted)
            except CacheUnavailableError as error:
                logger.debug("what was asked is counted later: %s", error)
                with self._lock:
                    for request, times in counted.items():
                        self._note(request, times)

    def _note(self, request: bytes, times: int) -> None:
        if request in self._counted or len(self._counted) < KEPT:
            self._counted[request] = self._counted.get(request, 0) + times


def most_asked(count: int) -> list[GraphQLRequest]:
    """The `count` requests that were asked most yesterday and today, the first of them most.

    Raises CacheUnavailableError.
    """
    now = datetime.now(UTC)
    days = {_key(now): 1.0, _key(now - timedelta(days=1)): YESTERDAY}
    ascending = cast("list[bytes]", shared.read(lambda redis: redis.zunion(days)))
    return [GraphQLRequest(*orjson.loads(request)) for request in ascending[::-1][:count]]


def _add(counted: dict[bytes, int]) -> None:
    key = _key(datetime.now(UTC))

    def add(redis: Redis) -> None:
        with redis.pipeline() as pipeline:
            for request, times in counted.items():
                pipeline.zincrby(key, times, request)
            pipeline.zremrangebyrank(key, 0, -KEPT - 1)
            pipeline.expire(key, timedelta(days=2))
            pipeline.execute()

    shared.write(add)


def _key(moment: datetime) -> str:
    return f"{KEY}{moment.date().isoformat()}"


popularity = Popularity()
