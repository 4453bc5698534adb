"""The gRPC client: one channel per process, opened lazily, a deadline for every call, a circuit breaker."""

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import grpc
from circuitbreaker import CircuitBreaker
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import Counter, Gauge

from apps.rpc.credentials import call_metadata, open_channel
from apps.rpc.errors import CircuitOpenError, TransientRpcError, translate
from apps.rpc.server import MAX_MESSAGE_BYTES

CALLS = Counter("jobrec_rpc_calls", "gRPC calls made, by their status", ["address", "request", "code"])
# Of the processes of a web server, the one that used the address last tells whether it can be reached.
CIRCUIT_OPEN = Gauge(
    "jobrec_circuit_breaker_open",
    "1 while calls to the address are not made because the last ones failed",
    ["address"],
    multiprocess_mode="mostrecent",
)

StubT = TypeVar("StubT")
RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")

CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # Reconnect within a second when a server is back; gRPC's default is up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
]


class Client(Generic[StubT]):
    """A client of one service at one address. Thread-safe, and usable after a fork.

    Five transient failures in a row open its circuit for ten seconds. Then the next call tries again.
    """

    def __init__(self, address: str, stub: Callable[[grpc.Channel], StubT]) -> None:
        self.address = address
        self.breaker = CircuitBreaker(
            failure_threshold=5,
            recovery_timeout=10,
            expected_exception=TransientRpcError,
            name=f"grpc {address}",
        )
        self._make_stub = stub
        self._lock = threading.Lock()
        self._stub: StubT | None = None
        self._channel: grpc.Channel | None = None
        self._pid = 0

    @property
    def stub(self) -> StubT:
        """The stub of this process."""
        with self._lock:
            # A gRPC channel does not survive a fork.
            if self._stub is None or self._pid != os.getpid():
                self._channel = open_channel(self.address, options=CHANNEL_OPTIONS)
                self._stub = self._make_stub(self._channel)
                self._pid = os.getpid()
            return self._stub

    def call(
        self,
        method: Callable[[StubT], "grpc.UnaryUnaryMultiCallable[RequestT, ResponseT]"],
        request: RequestT,
        *,
        deadline: float,
    ) -> ResponseT:
        """Call `method` and return its response. `deadline` is in seconds.

        Raises TransientRpcError, CircuitOpenError (a TransientRpcError) or PermanentRpcError.
        """
        if self.breaker.opened:
            CALLS.labels(self.address, type(request).__name__, "CIRCUIT_OPEN").inc()
            raise CircuitOpenError(
                f"{self.address}: not called, since {self.breaker.failure_count} calls failed in a row, "
                f"the last with {self.breaker.last_failure}"
            )
        try:
            with self.breaker:
                return self._call(method, request, deadline)
        finally:
            CIRCUIT_OPEN.labels(self.address).set(not self.breaker.closed)

    def _call(
        self,
        method: Callable[[StubT], "grpc.UnaryUnaryMultiCallable[RequestT, ResponseT]"],
        request: RequestT,
        deadline: float,
    ) -> ResponseT:
        name = type(request).__name__
        try:
            answer = method(self.stub)(request, timeout=deadline, metadata=call_metadata())
        except grpc.RpcError as error:
            translated = translate(error, call=f"{name} to {self.address}")
            CALLS.labels(self.address, name, translated.code.name if translated.code else "NONE").inc()
            raise translated from error
        CALLS.labels(self.address, name, "OK").inc()
        return answer

    def close(self) -> None:
        """Close the channel of this process, if one is open."""
        with self._lock:
            if self._channel is not None and self._pid == os.getpid():
                self._channel.close()
            self._channel = self._stub = None


def is_serving(address: str, *, timeout: float = 1.0) -> bool:
    """Whether the server at `address` reports SERVING to a health check, within `timeout` seconds."""
    with open_channel(address, options=CHANNEL_OPTIONS) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=timeout
            )
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
