"""Await futures that threads resolve, single ones or an ordered stream. Independent of gRPC and the model."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

RequestT = TypeVar("RequestT")
ResultT = TypeVar("ResultT")
AnswerT = TypeVar("AnswerT")


async def result_of(future: "Future[ResultT]") -> ResultT:
    """Await the result of a future; cancelling the wait cancels the future.

    Unlike asyncio.wrap_future, it does not wake the event loop again for a future that is resolved in the
    loop itself.
    """
    loop = asyncio.get_running_loop()
    waiting = loop.create_future()

    def wake() -> None:
        if not waiting.done():
            waiting.set_result(None)

    def on_done(_: "Future[ResultT]") -> None:
        try:
            in_loop = asyncio.get_running_loop() is loop
        except RuntimeError:  # a thread without an event loop
            in_loop = False
        if in_loop:
            wake()
        else:
            loop.call_soon_threadsafe(wake)

    future.add_done_callback(on_done)
    try:
        await waiting
    except asyncio.CancelledError:
        future.cancel()
        raise
    return future.result()


class StreamDrainedError(Exception):
    """The stream ends early: what was read has been answered, and the rest must be sent to another server."""


class OrderedStream(Generic[RequestT, ResultT, AnswerT]):
    """Begins each request as it arrives and answers all of them in order.

    At most `ahead` requests are read and not yet answered; then the sender has to wait, which bounds the
    memory of a stream. Reading and answering are separate tasks, because a sender may wait for an answer
    before it sends on.
    """

    def __init__(
        self,
        requests: AsyncIterator[RequestT],
        *,
        begin: Callable[[RequestT], Awaitable["Future[ResultT]"]],
        finish: Callable[[RequestT, ResultT], AnswerT],
        ahead: int,
    ) -> None:
        """`begin` starts the work on a request; `finish` makes the answer of a request from its result."""
        self._requests, self._begin, self._finish = requests, begin, finish
        self._room = asyncio.Semaphore(ahead)
        self._begun: asyncio.Queue[tuple[RequestT, Future[ResultT]] | Exception | None] = asyncio.Queue()
        self._futures: set[Future[ResultT]] = set()
        self._beginning = asyncio.Lock()  # held while a request is begun, which may load a model
        self._drained = False

    async def answers(self) -> AsyncGenerator[AnswerT, None]:
        """Yield one answer for each request, in order.

        Raises what reading or beginning a request raised, after the answers before it, and
        StreamDrainedError. Closing or cancelling the generator cancels the requests that are not answered
        yet.
        """
        reader = asyncio.create_task(self._read())
        try:
            while (begun := await self._begun.get()) is not None:
                if isinstance(begun, Exception):
                    raise begun
                request, future = begun
                yield self._finish(request, await result_of(future))
                self._futures.discard(future)
                self._room.release()
        finally:
            reader.cancel()
            for future in self._futures:
                future.cancel()

    async def drain(self) -> None:
        """Read no further request. After the answers to those begun, end with StreamDrainedError."""
        async with self._beginning:
            self._drained = True
            self._begun.put_nowait(
                StreamDrainedError("the server stops: send what is not answered to another server")
            )

    async def _read(self) -> None:
        try:
            await self._room.acquire()
            async for request in self._requests:
                # The lock makes `drain` wait for a request that is being begun, so that it is still answered.
                async with self._beginning:
                    if self._drained:
                        return
                    future = await self._begin(request)
                    self._futures.add(future)
                    self._begun.put_nowait((request, future))
                await self._room.acquire()
        except Exception as error:  # noqa: BLE001  raised where the answers are read
            self._begun.put_nowait(error)
        else:
            self._begun.put_nowait(None)
