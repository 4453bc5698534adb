"""An ordered stream over futures that the test resolves."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from functools import wraps
from typing import Any

import pytest

from workers.streaming import OrderedStream, StreamDrainedError

PATIENCE = 10  # seconds


class Work:
    """Requests that the test sends as numbers; each one begun gets a future of its own."""

    def __init__(self, *numbers: int) -> None:
        self.sent: asyncio.Queue[int | None] = asyncio.Queue()
        for number in numbers:
            self.sent.put_nowait(number)
        self.read: list[int] = []
        self.begun: asyncio.Queue[Future[str]] = asyncio.Queue()

    async def requests(self) -> AsyncIterator[int]:
        """Yield the numbers that the test sends, until None."""
        while (number := await self.sent.get()) is not None:
            self.read.append(number)
            yield number

    async def begin(self, _: int) -> "Future[str]":
        """Return a new future, which the test resolves."""
        future: Future[str] = Future()
        self.begun.put_nowait(future)
        return future

    def stream(self, **changes: Any) -> "OrderedStream[int, str, Any]":
        """Make a stream over these requests."""
        given: dict[str, Any] = {"requests": self.requests(), "begin": self.begin, "ahead": 2} | changes
        requests = given.pop("requests")
        return OrderedStream(requests, finish=lambda number, result: (number, result), **given)


def in_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run an async test in an event loop of its own."""

    @wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


async def soon(awaited: Any) -> Any:
    """Await with a time limit."""
    return await asyncio.wait_for(awaited, PATIENCE)


@in_a_loop
async def test_a_stream_answers_in_order_and_reads_no_further_ahead_than_allowed() -> None:
    work = Work(*range(5))
    work.sent.put_nowait(None)
    answers = work.stream().answers()
    answer = asyncio.create_task(anext(answers))
    first, second = await soon(work.begun.get()), await soon(work.begun.get())
    second.set_result("b")  # done before its turn
    await asyncio.sleep(0.2)
    assert (answer.done(), work.read, work.begun.empty()) == (False, [0, 1], True)
    first.set_result("a")
    assert [await soon(answer), await soon(anext(answers))] == [(0, "a"), (1, "b")]
    for number, result in enumerate("cde", start=2):
        answer = asyncio.create_task(anext(answers))
        (await soon(work.begun.get())).set_result(result)
        assert await soon(answer) == (number, result)
    with pytest.raises(StopAsyncIteration):
        await soon(anext(answers))


@in_a_loop
async def test_a_stream_that_is_cancelled_drops_its_requests_and_reads_no_more() -> None:
    work = Work(*range(100))
    answers = work.stream().answers()
    answer = asyncio.create_task(anext(answers))
    under_way = [await soon(work.begun.get()), await soon(work.begun.get())]
    answer.cancel()
    with suppress(asyncio.CancelledError):
        await soon(answer)
    assert all(future.cancelled() for future in under_way)
    await asyncio.sleep(0.1)
    assert work.read == [0, 1]


@in_a_loop
async def test_a_stream_that_is_closed_between_answers_drops_its_requests_and_reads_no_more() -> None:
    work = Work(*range(100))
    answers = work.stream().answers()
    answer = asyncio.create_task(anext(answers))
    (await soon(work.begun.get())).set_result("a")
    assert await soon(answer) == (0, "a")
    await soon(answers.aclose())
    assert (await soon(work.begun.get())).cancelled()
    assert work.read == [0, 1]


@in_a_loop
async def test_a_drained_stream_answers_what_was_read_and_then_raises() -> None:
    work = Work(0)
    stream = work.stream()
    answers = stream.answers()
    answer = asyncio.create_task(anext(answers))
    (await soon(work.begun.get())).set_result("a")
    assert await soon(answer) == (0, "a")
    # The sender sends nothing, and does not end the stream either.
    await soon(stream.drain())
    with pytest.raises(StreamDrainedError, match="send what is not answered to another server"):
        await soon(anext(answers))


@in_a_loop
async def test_a_drained_stream_answers_a_request_that_was_being_begun() -> None:
    work = Work(0)
    going_on = asyncio.Event()

    async def begin(number: int) -> "Future[str]":
        await going_on.wait()
        return await work.begin(number)

    stream = work.stream(begin=begin)
    answers = stream.answers()
    answer = asyncio.create_task(anext(answers))
    await asyncio.sleep(0.1)
    drained = asyncio.create_task(stream.drain())
    await asyncio.sleep(0.1)
    assert not drained.done()  # while it is being begun
    going_on.set()
    await soon(drained)
    (await soon(work.begun.get())).set_result("a")
    assert await soon(answer) == (0, "a")
    with pytest.raises(StreamDrainedError):
        await soon(anext(answers))


@in_a_loop
async def test_a_stream_whose_requests_fail_raises_after_the_answers_before_it() -> None:
    work = Work()

    async def requests() -> AsyncIterator[int]:
        yield 0
        raise ConnectionError("gone")

    answers = work.stream(requests=requests()).answers()
    answer = asyncio.create_task(anext(answers))
    (await soon(work.begun.get())).set_result("a")
    assert await soon(answer) == (0, "a")
    with pytest.raises(ConnectionError, match="gone"):
        await soon(anext(answers))
