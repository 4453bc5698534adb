"""Answering a stream in order, with flow control. Knows neither gRPC nor the model."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Generic, TypeVar

RequestT = TypeVar("RequestT")
ResultT = TypeVar("ResultT")
AnswerT = TypeVar("AnswerT")


class StreamDrainedError(Exception):
    """What had been read is answered; the rest must be sent elsewhere."""


class OrderedStream(Generic[RequestT, ResultT, AnswerT]):
    """Begins requests as they come and answers each in its turn.

    At most `ahead` requests are read and not yet answered: with further ones the sender has to wait, so that a
    stream holds little memory however fast it comes. `begin` runs in a thread of the stream's own, since nobody
    knows whether the sender sends another request before it has an answer.
    """

    def __init__(
        self,
        requests: Iterator[RequestT],
        *,
        begin: Callable[[RequestT], "Future[ResultT]"],
        finish: Callable[[RequestT, ResultT], AnswerT],
        ahead: int,
    ) -> None:
        self._requests, self._begin, self._finish = requests, begin, finish
        self._room = threading.Semaphore(ahead)
        self._begun: SimpleQueue[tuple[RequestT, Future[ResultT]] | Exception | None] = SimpleQueue()
        self._futures: set[Future[ResultT]] = set()
        self._lock = threading.Lock()
        self._beginning = threading.Lock()  # while a request is begun, which may take long
        self._drained = False
        self._abandoned = threading.Event()

    def answers(self) -> Iterator[AnswerT]:
        """One answer for each request, in order. Raises what reading or beginning one raised, and StreamDrainedError."""
        threading.Thread(target=self._read, name="stream", daemon=True).start()
        try:
            while (begun := self._begun.get()) is not None:
                if isinstance(begun, Exception):
                    raise begun
                request, future = begun
                yield self._finish(request, future.result())
                self._futures.discard(future)
                self._room.release()
        finally:
            self.abandon()

    def drain(self) -> None:
        """Answers what has been begun, and then no more."""
        with self._beginning:
            self._drained = True
            self._begun.put(StreamDrainedError("the server stops: send what is not answered to another"))

    def abandon(self) -> None:
        """Drops what is not answered: nobody waits for it any more. Idempotent."""
        with self._lock:
            self._abandoned.set()
            futures = list(self._futures)
        for future in futures:
            future.cancel()
        self._room.release()  # the reader may wait for room

    def _read(self) -> None:
        try:
            while self._room.acquire() and not self._abandoned.is_set():
                request = next(self._requests, None)
                if request is None:
                    break
                with (
                    self._beginning
                ):  # what was begun before the end of a drained stream is answered before it
                    if self._drained:
                        break
                    future = self._begin(request)
                    with self._lock:
                        self._futures.add(future)
                        if self._abandoned.is_set():
                            future.cancel()
                    self._begun.put((request, future))
        except Exception as error:  # noqa: BLE001  raised where the answers are read
            self._begun.put(error)
        else:
            self._begun.put(None)
