"""The calling end: a channel made lazily in each process, a deadline on every call, a circuit breaker."""

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import grpc
from circuitbreaker import CircuitBreaker
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import Counter

from apps.rpc import breakers
from apps.rpc.credentials import call_metadata, open_channel
from apps.rpc.errors import CircuitOpenError, TransientRpcError, translate
from apps.rpc.server import MESSAGE_LIMIT

CALLS = Counter("jobrec_rpc_calls", "gRPC calls made, by their status", ["address", "request", "code"])

StubT = TypeVar("StubT")
RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")

CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
    # A server that comes back is found within a second, not after gRPC's default of up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
]


class Client(Generic[StubT]):
    """Calls one service at one address. Threads may share it, and it survives a fork.

    Five failures in a row open its circuit for ten seconds; then the next call tries again.
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
        with self._lock:
            # gRPC channels do not survive a fork: each process opens its own.
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
        """The answer of `method`, at the latest after `deadline` seconds.

        Raises TransientRpcError, CircuitOpenError (a TransientRpcError) or PermanentRpcError.
        """
        if self.breaker.opened:
            CALLS.labels(self.address, type(request).__name__, "CIRCUIT_OPEN").inc()
            raise CircuitOpenError(
                f"{self.address}: not called, {self.breaker.failure_count} calls failed in a row, "
                f"the last with {self.breaker.last_failure}"
            )
        was_closed = self.breaker.closed
        try:
            with self.breaker:
                answer = self._call(method, request, deadline)
        except TransientRpcError as error:
            if not self.breaker.closed:
                breakers.note_open(self.address, str(error))
            raise
        if not was_closed:
            breakers.note_closed(self.address)
        return answer

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
        with self._lock:
            if self._channel is not None and self._pid == os.getpid():
                self._channel.close()
            self._channel = self._stub = None


def is_serving(address: str, *, timeout: float = 1.0) -> bool:
    """Whether the server at `address` answers that it serves, by the standard health service."""
    with open_channel(address, options=CHANNEL_OPTIONS) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=timeout
            )
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
