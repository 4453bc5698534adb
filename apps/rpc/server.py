"""The gRPC server of jobrec's services: health, reflection, token, bounded queue, graceful stop."""

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
from apps.rpc.malformed import MalformedRequestInterceptor

logger = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 100 * 1024 * 1024
LINGER = 0.5  # seconds in which callers learn that their stream has ended

Drain = Callable[[float], Awaitable[bool]]


@dataclass
class RunningServer:
    """A started server and its port, which the system chooses if the address names port 0."""

    server: grpc.aio.Server
    health: health.aio.HealthServicer
    port: int
    drain: Drain
    loop: asyncio.AbstractEventLoop
    stopped: bool = False

    def stop(self, *, grace: float = 10.0) -> None:
        """Stop gracefully: take no new call, and let open ones finish within `grace` seconds. Idempotent.

        Streams end before their connections, since a caller that still sends when its connection closes may
        lose the last responses.
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
    """Start a server of `service_name` on `address`, with its event loop in a thread of its own.

    It takes at most `calls` calls at a time and answers further ones with RESOURCE_EXHAUSTED. Methods that
    are not coroutines run in `threads` threads. At the stop it calls `drain` with the seconds left: that ends
    calls which would last longer, and returns whether there were any. Raises RuntimeError if the port is
    taken, and ImproperlyConfigured if the address is open to others but unprotected.
    """
    loop = asyncio.new_event_loop()

    async def start() -> RunningServer:
        token = [TokenInterceptor(settings.RPC_TOKEN)] if settings.RPC_TOKEN else []
        server = grpc.aio.server(
            ThreadPoolExecutor(threads, thread_name_prefix="rpc"),
            interceptors=[*token, MalformedRequestInterceptor()],
            maximum_concurrent_rpcs=calls,
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
                ("grpc.so_reuseport", 0),  # a second server on the port fails instead of sharing it
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
    """Block until SIGTERM or SIGINT. Call it in the main thread."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
