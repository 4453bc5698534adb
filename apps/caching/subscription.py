"""A subscription that notices when its connection has died without being closed."""

import time
from types import TracebackType
from typing import Any, Self

from redis.exceptions import ConnectionError as RedisConnectionError

from apps.caching import shared

PATIENCE = 2.0  # seconds that an answer may take


class Subscription:
    """To one channel, over a connection of its own: the pool's read timeout is meant for commands.

    A host or a network that is gone closes nothing, and what is written to it goes nowhere without an error. So a quiet
    connection is asked for a sign of life.
    """

    def __init__(self, channel: str) -> None:
        """Raises RedisError."""
        connection: Any = shared.connection()  # redis-py does not type its subscriptions
        self._subscription = connection.pubsub()
        self._subscription.subscribe(channel)
        self._asked_at: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def next(self, timeout: float) -> dict[str, Any] | None:
        """What comes next, as redis-py gives it: of type subscribe first, then message or pong; None after `timeout`
        seconds. Raises RedisError or OSError where the connection is lost."""
        message: dict[str, Any] | None = self._subscription.get_message(timeout=timeout)
        if message is not None:
            self._asked_at = None
        elif self._asked_at is None:
            self._subscription.ping()
            self._asked_at = time.monotonic()
        elif time.monotonic() - self._asked_at > PATIENCE:
            raise RedisConnectionError(f"no sign of life for {PATIENCE:.0f} s")
        return message

    def close(self) -> None:
        self._subscription.close()
