"""A subscription that notices when its connection has died without being closed."""

import time
from types import TracebackType
from typing import Any, Self

from redis.exceptions import ConnectionError as RedisConnectionError

from apps.caching import shared

PONG_TIMEOUT = 2.0  # seconds


class Subscription:
    """A subscription to one channel, over its own connection, since the pool's read timeout is for commands.

    A host or a network that disappears does not close the connection, so a quiet connection is pinged.
    """

    def __init__(self, channel: str) -> None:
        """Raises RedisError."""
        connection: Any = shared.connection()  # redis-py does not type its subscriptions
        self._subscription = connection.pubsub()
        self._subscription.subscribe(channel)
        self._pinged_at: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def next(self, timeout: float) -> dict[str, Any] | None:
        """The next message as redis-py returns it, or None after `timeout` seconds.

        Its type is subscribe at first, then message or pong. Raises RedisError or OSError if the connection
        is lost.
        """
        message: dict[str, Any] | None = self._subscription.get_message(timeout=timeout)
        if message is not None:
            self._pinged_at = None
        elif self._pinged_at is None:
            self._subscription.ping()
            self._pinged_at = time.monotonic()
        elif time.monotonic() - self._pinged_at > PONG_TIMEOUT:
            raise RedisConnectionError(f"no pong within {PONG_TIMEOUT:.0f} s")
        return message

    def close(self) -> None:
        """Close the connection."""
        self._subscription.close()
