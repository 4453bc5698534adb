"""An ordered stream over futures that the test completes."""

import queue
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from typing import Any

import pytest

from workers.streaming import OrderedStream, StreamDrainedError

PATIENCE = 10  # seconds


class Work:
    """Requests 0, 1, 2 …; each begun gets a future of its own."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.read: list[int] = []
        self.begun: queue.Queue[tuple[int, Future[str]]] = queue.Queue()

    def requests(self) -> Iterator[int]:
        for number in range(self.count):
            self.read.append(number)
            yield number

    def begin(self, number: int) -> "Future[str]":
        future: Future[str] = Future()
        self.begun.put((number, future))
        return future

    def next_begun(self) -> "Future[str]":
        return self.begun.get(timeout=PATIENCE)[1]


def stream_of(work: Work, *, ahead: int = 2) -> "OrderedStream[int, str, Any]":
    return OrderedStream(
        work.requests(), begin=work.begin, finish=lambda number, result: (number, result), ahead=ahead
    )


def test_answers_keep_their_order_and_no_more_is_read_than_may_be_ahead() -> None:
    work = Work(5)
    answers = stream_of(work).answers()
    got: queue.Queue[Any] = queue.Queue()

    def read() -> None:
        for answer in answers:
            got.put(answer)

    reader = threading.Thread(target=read)
    reader.start()
    first, second = work.next_begun(), work.next_begun()
    second.set_result("b")  # done before its turn
    with pytest.raises(queue.Empty):
        got.get(timeout=0.2)
    assert (work.read, work.begun.empty()) == ([0, 1], True)
    first.set_result("a")
    assert [got.get(timeout=PATIENCE) for _ in range(2)] == [(0, "a"), (1, "b")]
    for result in "cde":
        work.next_begun().set_result(result)
    assert [got.get(timeout=PATIENCE) for _ in range(3)] == [(2, "c"), (3, "d"), (4, "e")]
    reader.join(PATIENCE)
    assert not reader.is_alive()


def test_abandoning_cancels_what_is_under_way_and_reads_no_more() -> None:
    work = Work(100)
    stream = stream_of(work)
    answers = stream.answers()
    got: queue.Queue[Any] = queue.Queue()

    def read() -> None:
        try:
            got.put(next(answers))
        except CancelledError as error:
            got.put(error)

    reader = threading.Thread(target=read)
    reader.start()
    under_way = [work.next_begun(), work.next_begun()]
    stream.abandon()
    assert isinstance(got.get(timeout=PATIENCE), CancelledError)
    assert all(future.cancelled() for future in under_way)
    reader.join(PATIENCE)
    assert work.read == [0, 1]


def test_draining_answers_what_was_read_and_then_says_so() -> None:
    waiting: queue.Queue[int | None] = queue.Queue()
    work = Work(0)
    stream: OrderedStream[int, str, Any] = OrderedStream(
        iter(waiting.get, None), begin=work.begin, finish=lambda number, result: (number, result), ahead=2
    )
    answers = stream.answers()
    waiting.put(0)
    threading.Timer(0.1, lambda: work.next_begun().set_result("a")).start()
    assert next(answers) == (0, "a")
    # The sender sends nothing, and does not end the stream either.
    stream.drain()
    with pytest.raises(StreamDrainedError, match="send what is not answered to another"):
        next(answers)
    waiting.put(None)


def test_what_was_begun_when_draining_is_answered_first() -> None:
    waiting: queue.Queue[int | None] = queue.Queue()
    work = Work(0)
    drained = threading.Event()

    def drain() -> None:
        stream.drain()
        drained.set()

    def begin(number: int) -> "Future[str]":
        threading.Thread(target=drain).start()
        assert not drained.wait(0.2)  # while it is being begun
        future = work.begin(number)
        future.set_result("a")
        return future

    stream: OrderedStream[int, str, Any] = OrderedStream(
        iter(waiting.get, None), begin=begin, finish=lambda number, result: (number, result), ahead=2
    )
    answers = stream.answers()
    waiting.put(0)
    assert next(answers) == (0, "a")
    with pytest.raises(StreamDrainedError):
        next(answers)
    waiting.put(None)


def test_what_reading_raises_comes_after_the_answers_before_it() -> None:
    def requests() -> Iterator[int]:
        yield 0
        raise ConnectionError("gone")

    def begin(_: int) -> "Future[str]":
        future: Future[str] = Future()
        future.set_result("a")
        return future

    answers = OrderedStream(
        requests(), begin=begin, finish=lambda number, result: (number, result), ahead=2
    ).answers()
    assert next(answers) == (0, "a")
    with pytest.raises(ConnectionError, match="gone"):
        next(answers)
