"""A gRPC server as jobrec runs it: health, reflection, token, bounded queue, graceful stop."""

import logging
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
from django.conf import settings
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from apps.rpc.credentials import TokenInterceptor, bind

logger = logging.getLogger(__name__)

MESSAGE_LIMIT = 100 * 1024 * 1024  # bytes
LINGER = 0.5  # seconds, for callers to hear that their stream has ended


@dataclass(frozen=True)
class RunningServer:
    """A started server. `port` is the one it got where the address asked for port 0."""

    server: grpc.Server
    health: health.HealthServicer
    port: int
    drain: Callable[[float], bool]

    def stop(self, *, grace: float = 10.0) -> None:
        """Tells health watchers, takes no new call, lets those under way finish within `grace` seconds.

        Streams are ended before the connections are: a caller that is still sending when its connection is closed
        may lose the last answers unread.
        """
        self.health.enter_graceful_shutdown()
        until = time.monotonic() + grace
        if self.drain(grace / 2):
            time.sleep(min(LINGER, grace / 4))
        self.server.stop(max(0.0, until - time.monotonic())).wait()


def start_server(
    service_name: str,
    register: Callable[[grpc.Server], None],
    *,
    address: str,
    threads: int,
    queue: int = 0,
    drain: Callable[[float], bool] = lambda _: False,
) -> RunningServer:
    """Starts serving `service_name` on `address`.

    At most `threads` calls run and `queue` more wait; a further one is answered RESOURCE_EXHAUSTED.
    `drain` is called at the stop with the seconds it may take, to end calls that would go on for longer, and says whether
    there were any.
    Raises RuntimeError where the address is taken, ImproperlyConfigured where it is open to others unprotected.
    """
    server = grpc.server(
        ThreadPoolExecutor(threads, thread_name_prefix="rpc"),
        interceptors=[TokenInterceptor(settings.RPC_TOKEN)] if settings.RPC_TOKEN else [],
        maximum_concurrent_rpcs=threads + queue,
        options=[
            ("grpc.max_receive_message_length", MESSAGE_LIMIT),
            ("grpc.max_send_message_length", MESSAGE_LIMIT),
            ("grpc.so_reuseport", 0),  # a second server on the port must fail, not share it
        ],
    )
    register(server)
    health_servicer = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    reflection.enable_server_reflection((service_name, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    port = bind(server, address)
    server.start()
    for name in ("", service_name):
        health_servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    logger.info("%s listens on %s", service_name, address)
    return RunningServer(server, health_servicer, port, drain)


def wait_for_signal() -> None:
    """Returns at SIGTERM or SIGINT. Call from the main thread."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
