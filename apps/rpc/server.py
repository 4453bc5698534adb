"""A gRPC server as jobrec runs it: health, reflection, token, bounded queue, graceful stop."""

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event, Thread

import grpc
from django.conf import settings
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from apps.rpc.credentials import TokenInterceptor, bind

logger = logging.getLogger(__name__)

MESSAGE_LIMIT = 100 * 1024 * 1024  # bytes
LINGER = 0.5  # seconds, for callers to hear that their stream has ended

Drain = Callable[[float], Awaitable[bool]]


@dataclass
class RunningServer:
    """A started server. `port` is the one it got where the address asked for port 0."""

    server: grpc.aio.Server
    health: health.aio.HealthServicer
    port: int
    drain: Drain
    loop: asyncio.AbstractEventLoop
    stopped: bool = False

    def stop(self, *, grace: float = 10.0) -> None:
        """Tells health watchers, takes no new call, lets those under way finish within `grace` seconds. Idempotent.

        Streams are ended before the connections are: a caller that is still sending when its connection is closed
        may lose the last answers unread.
        """
        if not self.stopped:
            self.stopped = True
            asyncio.run_coroutine_threadsafe(self._stop(grace), self.loop).result()
            self.loop.call_soon_threadsafe(self.loop.stop)

    async def _stop(self, grace: float) -> None:
        await self.health.enter_graceful_shutdown()
        until = time.monotonic() + grace
        if await self.drain(grace / 2):
            await asyncio.sleep(min(LINGER, grace / 4))
        await self.server.stop(max(0.0, until - time.monotonic()))


async def _nothing_to_drain(_: float) -> bool:
    return False


def start_server(
    service_name: str,
    register: Callable[[grpc.aio.Server], None],
    *,
    address: str,
    calls: int,
    threads: int = 1,
    drain: Drain = _nothing_to_drain,
) -> RunningServer:
    """Starts serving `service_name` on `address`, in an event loop with a thread of its own.

    At most `calls` are taken at a time; a further one is answered RESOURCE_EXHAUSTED. Methods that are no coroutines run in
    `threads` threads.
    `drain` is called at the stop with the seconds it may take, to end calls that would go on for longer, and says whether
    there were any.
    Raises RuntimeError where the address is taken, ImproperlyConfigured where it is open to others unprotected.
    """
    loop = asyncio.new_event_loop()

    async def start() -> RunningServer:
        server = grpc.aio.server(
            ThreadPoolExecutor(threads, thread_name_prefix="rpc"),
            interceptors=[TokenInterceptor(settings.RPC_TOKEN)] if settings.RPC_TOKEN else [],
            maximum_concurrent_rpcs=calls,
            options=[
                ("grpc.max_receive_message_length", MESSAGE_LIMIT),
                ("grpc.max_send_message_length", MESSAGE_LIMIT),
                ("grpc.so_reuseport", 0),  # a second server on the port must fail, not share it
            ],
        )
        register(server)
        health_servicer = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
        names = (service_name, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
        port = bind(server, address)
        await server.start()
        for name in ("", service_name):
            await health_servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
        return RunningServer(server, health_servicer, port, drain, loop)

    Thread(target=loop.run_forever, name="rpc-loop", daemon=True).start()
    try:
        running = asyncio.run_coroutine_threadsafe(start(), loop).result()
    except BaseException:
        loop.call_soon_threadsafe(loop.stop)
        raise
    logger.info("%s listens on %s", service_name, address)
    return running


def wait_for_signal() -> None:
    """Returns at SIGTERM or SIGINT. Call from the main thread."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
