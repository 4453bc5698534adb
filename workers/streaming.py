"""Waiting in an event loop for what threads do, one result or a stream of them. Knows neither gRPC nor the model."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

RequestT = TypeVar("RequestT")
ResultT = TypeVar("ResultT")
AnswerT = TypeVar("AnswerT")


async def result_of(future: "Future[ResultT]") -> ResultT:
    """What it yields or raises; cancelling the wait cancels it.

    As asyncio.wrap_future, which wakes the loop for each future, though many be resolved at once in the loop itself.
    """
    loop = asyncio.get_running_loop()
    waiting = loop.create_future()

    def wake() -> None:
        if not waiting.done():
            waiting.set_result(None)

    def resolved(_: "Future[ResultT]") -> None:
        try:
            here = asyncio.get_running_loop() is loop
        except RuntimeError:  # a thread without one
            here = False
        if here:
            wake()
        else:
            loop.call_soon_threadsafe(wake)

    future.add_done_callback(resolved)
    try:
        await waiting
    except asyncio.CancelledError:
        future.cancel()
        raise
    return future.result()


class StreamDrainedError(Exception):
    """What had been read is answered; the rest must be sent elsewhere."""


class OrderedStream(Generic[RequestT, ResultT, AnswerT]):
    """Begins requests as they come and answers each in its turn.

    At most `ahead` requests are read and not yet answered: with further ones the sender has to wait, so that a
    stream holds little memory however fast it comes. They are read beside the answering, since nobody knows whether
    the sender sends another request before it has an answer.
    """

    def __init__(
        self,
        requests: AsyncIterator[RequestT],
        *,
        begin: Callable[[RequestT], Awaitable["Future[ResultT]"]],
        finish: Callable[[RequestT, ResultT], AnswerT],
        ahead: int,
    ) -> None:
        self._requests, self._begin, self._finish = requests, begin, finish
        self._room = asyncio.Semaphore(ahead)
        self._begun: asyncio.Queue[tuple[RequestT, Future[ResultT]] | Exception | None] = asyncio.Queue()
        self._futures: set[Future[ResultT]] = set()
        self._beginning = asyncio.Lock()  # while a request is begun, which may take long
        self._drained = False

    async def answers(self) -> AsyncGenerator[AnswerT, None]:
        """One answer for each request, in order. Raises what reading or beginning one raised, and StreamDrainedError.

        Closed or cancelled, it drops what is not answered.
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
        """Answers what has been begun, and then no more."""
        async with self._beginning:
            self._drained = True
            self._begun.put_nowait(
                StreamDrainedError("the server stops: send what is not answered to another")
            )

    async def _read(self) -> None:
        try:
            await self._room.acquire()
            async for request in self._requests:
                # What was begun before the end of a drained stream is answered before it.
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
