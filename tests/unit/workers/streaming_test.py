"""An ordered stream over futures that the test completes."""

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
    """Requests 0, 1, 2 …, as many as `sent`; each begun gets a future of its own."""

    def __init__(self, *numbers: int) -> None:
        self.sent: asyncio.Queue[int | None] = asyncio.Queue()
        for number in numbers:
            self.sent.put_nowait(number)
        self.read: list[int] = []
        self.begun: asyncio.Queue[Future[str]] = asyncio.Queue()

    async def requests(self) -> AsyncIterator[int]:
        while (number := await self.sent.get()) is not None:
            self.read.append(number)
            yield number

    async def begin(self, _: int) -> "Future[str]":
        future: Future[str] = Future()
        self.begun.put_nowait(future)
        return future

    def stream(self, **changes: Any) -> "OrderedStream[int, str, Any]":
        given: dict[str, Any] = {"requests": self.requests(), "begin": self.begin, "ahead": 2} | changes
        requests = given.pop("requests")
        return OrderedStream(requests, finish=lambda number, result: (number, result), **given)


def in_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


async def soon(awaited: Any) -> Any:
    return await asyncio.wait_for(awaited, PATIENCE)


@in_a_loop
async def test_answers_keep_their_order_and_no_more_is_read_than_may_be_ahead() -> None:
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
async def test_cancelling_drops_what_is_under_way_and_reads_no_more() -> None:
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
async def test_closing_between_two_answers_drops_what_is_under_way() -> None:
    work = Work(*range(100))
    answers = work.stream().answers()
    answer = asyncio.create_task(anext(answers))
    (await soon(work.begun.get())).set_result("a")
    assert await soon(answer) == (0, "a")
    await soon(answers.aclose())
    assert (await soon(work.begun.get())).cancelled()
    assert work.read == [0, 1]


@in_a_loop
async def test_draining_answers_what_was_read_and_then_says_so() -> None:
    work = Work(0)
    stream = work.stream()
    answers = stream.answers()
    answer = asyncio.create_task(anext(answers))
    (await soon(work.begun.get())).set_result("a")
    assert await soon(answer) == (0, "a")
    # The sender sends nothing, and does not end the stream either.
    await soon(stream.drain())
    with pytest.raises(StreamDrainedError, match="send what is not answered to another"):
        await soon(anext(answers))


@in_a_loop
async def test_what_was_begun_when_draining_is_answered_first() -> None:
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
async def test_what_reading_raises_comes_after_the_answers_before_it() -> None:
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
