"""A load generator: keeps connections busy with prepared requests, from a process of its own.

The same for what is measured and for its baseline, so that its own cost counts on both sides.
"""

import json
import multiprocessing
import re
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

MAX_WAIT = 10.0  # seconds, after which a request counts as unanswered
CONTENT_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


@dataclass(frozen=True)
class Load:
    """Outcome of a load. `latencies` in seconds, of all answers; `failed` counts errors and degraded
    answers."""

    answers: int
    failed: int
    seconds: float
    latencies: list[float]

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answers / self.seconds


@dataclass
class _Connection:
    socket: socket.socket
    due: float = 0.0  # when its request is, or was, to be sent
    received: bytearray = field(default_factory=bytearray)
    expected: int = 0


def post(path: str, content: Any) -> bytes:
    """A request with a JSON body, as bytes."""
    body = json.dumps(content).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def run(
    port: int | Sequence[int],
    requests: Sequence[bytes],
    *,
    seconds: float,
    connections: int = 16,
    rate: float = 0.0,
    on_start: Callable[[], None] = lambda: None,
) -> Load:
    """Send `requests` over and over for `seconds`, one at a time on each connection, to several ports in
    equal parts.

    As fast as answers come, or at `rate` a second. At a rate, latencies count from when a request was due, so
    that a server that stalls also pays for the requests that it kept waiting. `on_start` is called just
    before the first.
    """
    ports = [port] if isinstance(port, int) else list(port)
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    pause = connections / rate if rate else 0.0  # between two requests of one connection
    with context.Pool(1, ready.set) as pool:
        driving = pool.apply_async(_drive, (ports, list(requests), seconds, connections, pause))
        ready.wait()
        on_start()
        return driving.get()


def together(loads: Sequence[Load]) -> Load:
    """Loads that followed each other, as one."""
    return Load(
        answers=sum(each.answers for each in loads),
        failed=sum(each.failed for each in loads),
        seconds=sum(each.seconds for each in loads),
        latencies=[latency for each in loads for latency in each.latencies],
    )


def _drive(ports: list[int], requests: list[bytes], seconds: float, connections: int, pause: float) -> Load:
    selector = selectors.DefaultSelector()
    upcoming = cycle(requests)
    for port in islice(cycle(ports), connections):
        opened = socket.create_connection(("127.0.0.1", port), timeout=30)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(opened, selectors.EVENT_READ, _Connection(opened))
    idle: list[_Connection] = [key.data for key in selector.get_map().values()]
    started = now = time.perf_counter()
    for number, connection in enumerate(idle):
        connection.due = started + pause * number / connections
    latencies: list[float] = []
    failed = 0
    while (now := time.perf_counter()) < started + seconds:
        for connection in [each for each in idle if each.due <= now]:
            idle.remove(connection)
            _send(connection, next(upcoming))
        soonest = min((each.due for each in idle), default=now + 1)
        for key, _ in selector.select(max(0.0, soonest - time.perf_counter())):
            connection = key.data
            if not _receive(connection):
                continue
            now = time.perf_counter()
            latencies.append(now - connection.due)
            failed += not _is_full(connection.received)
            connection.due = connection.due + pause if pause else now
            idle.append(connection)
    for key in list(selector.get_map().values()):
        waited = now - key.data.due
        if key.data not in idle and waited > MAX_WAIT:
            failed += 1
            latencies.append(waited)
        key.data.socket.close()
    return Load(len(latencies), failed, now - started, latencies)


def _is_full(answer: bytearray) -> bool:
    """True for status 200 without errors and not degraded. Quotes inside of a text are escaped in JSON."""
    return (
        answer.startswith(b"HTTP/1.1 200") and b'"errors":' not in answer and b'"degraded":true' not in answer
    )


def _send(connection: _Connection, request: bytes) -> None:
    connection.received.clear()
    connection.expected = 0
    connection.socket.sendall(request)


def _receive(connection: _Connection) -> bool:
    """Receive a part; return True once the answer is complete. Raises ConnectionError on a closed
    connection."""
    data = connection.socket.recv(1 << 18)
    if not data:
        raise ConnectionError("the server closed the connection")
    connection.received += data
    if not connection.expected and (end := connection.received.find(b"\r\n\r\n")) >= 0:
        length = CONTENT_LENGTH.search(connection.received, 0, end)
        if length is None:
            raise ConnectionError(f"an answer without Content-Length: {bytes(connection.received[:end])!r}")
        connection.expected = end + 4 + int(length[1])
    return bool(connection.expected) and len(connection.received) >= connection.expected
