"""Dynamic batching: the texts of concurrent calls in one encode. Knows neither the model nor gRPC."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from workers.encoding.encoder import Role, Vectors
from workers.encoding.isolation import BadText, encode_isolating

Encode = Callable[[Sequence[str], Role], Vectors]
Outcomes = list[np.ndarray | BadText]


class QueueFullError(Exception):
    """So many texts wait that a further call would wait too long."""


@dataclass(frozen=True)
class Limits:
    """`texts` and `characters` bound a batch, a single longer text excepted; `wait` is in seconds; `queue` texts of
    queries may wait."""

    texts: int
    characters: int
    wait: float
    queue: int


@dataclass(frozen=True)
class Batch:
    """What one encode was given: texts of so many calls, the oldest of which had waited so many seconds."""

    role: Role
    calls: int
    texts: int
    waited: float


class _Call:
    """The texts of one caller, the longest first, so that a batch holds texts of about equal length."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self.left = deque(sorted(range(len(texts)), key=lambda index: -len(texts[index])))
        self.outcomes: dict[int, np.ndarray | BadText] = {}
        self.future: Future[Outcomes] = Future()
        self.since = time.monotonic()
        self.over = False

    def end(self, failure: Exception | None) -> bool:
        """Whether it is over now, as it failed or has all its outcomes. Call under the batcher's lock."""
        if self.over or not (failure or len(self.outcomes) == len(self.texts)):
            return False
        self.left.clear()
        self.over = True
        return True

    def resolve(self, failure: Exception | None) -> None:
        """Call once, when it is over."""
        if not self.future.set_running_or_notify_cancel():
            return
        if failure:
            self.future.set_exception(failure)
        else:
            self.future.set_result([self.outcomes[index] for index in range(len(self.texts))])


class Batcher:
    """Encodes with `slots` threads, each of which takes as many waiting texts at a time as `limits` allow.

    An idle encoder takes a call at once. While there are many callers, one that has just become free waits, `limits.wait` at most,
    until its share of them has come back: else it would encode a few texts at a time, and most of the time those of
    the quickest callers. Queries, for which a person waits, go before documents; a call of more texts than fit is
    encoded in parts, so that others get their turn between them.
    """

    def __init__(
        self,
        encode: Encode,
        *,
        slots: int,
        limits: Limits,
        on_batch: Callable[[Batch], None] = lambda _: None,
        deliver: Callable[[Callable[[], None]], None] = lambda resolve: resolve(),
    ) -> None:
        """`deliver` calls what resolves the futures of a batch, in whichever thread is to hear of them."""
        self._deliver = deliver
        self._encode, self._slots, self._limits, self._on_batch = encode, slots, limits, on_batch
        self._changed = threading.Condition()
        self._waiting: dict[Role, deque[_Call]] = {"query": deque(), "document": deque()}
        self._encoding = 0  # texts of queries in the hands of the slots
        self._share = 1  # texts of queries worth waiting for
        self._closed = False
        for number in range(slots):
            threading.Thread(target=self._work, name=f"encode-{number}", daemon=True).start()

    def submit(self, texts: Sequence[str], *, role: Role) -> "Future[Outcomes]":
        """A vector, or what is wrong with the text, for each text. Cancelling the future drops what is not encoded yet.

        The future raises what the encoder raises about itself: then no text is to blame. Raises QueueFullError for
        queries; of documents, whoever submits them must bound how many.
        """
        call = _Call(texts)
        if not texts:
            call.future.set_result([])
            return call.future
        with self._changed:
            if self._closed:
                raise QueueFullError("the encoder is being stopped")
            self._drop_ended()
            waiting = self._waiting_queries()
            if role == "query" and waiting and waiting + len(texts) > self._limits.queue:
                raise QueueFullError(f"{waiting} texts wait already, at most {self._limits.queue} may")
            self._waiting[role].append(call)
            # A slot that waits for its share of the callers need not look at each one that comes back.
            if role == "document" or not waiting or waiting + len(texts) >= self._share:
                self._changed.notify_all()
        return call.future

    def close(self) -> None:
        """Encodes what waits, then ends the threads. Returns at once; what is submitted later is refused."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _work(self) -> None:
        while (parts := self._next_parts()) is not None:
            self._encode_parts(*parts)

    def _next_parts(self) -> tuple[Role, list[tuple[_Call, int]]] | None:
        """The texts of the next batch, as (call, index in it); None at the end."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._closed or any(self._waiting.values()))
                if self._waiting["query"]:
                    self._changed.wait_for(
                        lambda: self._closed or self._waiting_queries() >= self._share,
                        timeout=self._limits.wait,
                    )
                self._drop_ended()
                role: Role = "query" if self._waiting["query"] else "document"
                most = self._share_now() if role == "query" else self._limits.texts
                if parts := self._take(self._waiting[role], most):
                    self._encoding += len(parts) if role == "query" else 0
                    return role, parts
                if self._closed:
                    return None

    def _waiting_queries(self) -> int:
        return sum(len(call.left) for call in self._waiting["query"])

    def _drop_ended(self) -> None:
        for lane in self._waiting.values():
            if any(call.over or call.future.done() for call in lane):  # its first part failed, or cancelled
                alive = [call for call in lane if not (call.over or call.future.done())]
                lane.clear()
                lane.extend(alive)

    def _share_now(self) -> int:
        """Texts of queries for each slot, were all that wait or are being encoded dealt out anew."""
        under_way = self._encoding + self._waiting_queries()
        return min(-(-under_way // self._slots), self._limits.texts)

    def _take(self, lane: deque[_Call], most: int) -> list[tuple[_Call, int]]:
        parts: list[tuple[_Call, int]] = []
        characters = 0
        while lane and len(parts) < most:
            call = lane[0]
            characters += len(call.texts[call.left[0]])
            if parts and characters > self._limits.characters:
                break
            parts.append((call, call.left.popleft()))
            if not call.left:
                lane.popleft()
        return parts

    def _encode_parts(self, role: Role, parts: list[tuple[_Call, int]]) -> None:
        calls = list({id(call): call for call, _ in parts}.values())
        waited = time.monotonic() - min(call.since for call in calls)
        self._on_batch(Batch(role, len(calls), len(parts), waited))
        failure: Exception | None = None
        vectors: dict[int, np.ndarray] = {}
        bad: list[BadText] = []
        try:
            vectors, bad = encode_isolating(
                lambda some: self._encode(some, role), [call.texts[index] for call, index in parts]
            )
        except Exception as error:  # noqa: BLE001  raised where the futures are waited for
            failure = error
        outcomes: dict[int, np.ndarray | BadText] = vectors | {each.index: each for each in bad}
        with self._changed:
            for place, (call, index) in enumerate(parts):
                if place in outcomes:
                    call.outcomes[index] = outcomes[place]
            over = [call for call in calls if call.end(failure)]
            if role == "query":
                self._share = self._share_now()
                self._encoding -= len(parts)

        def resolve() -> None:
            for call in over:
                call.resolve(failure)

        self._deliver(resolve)
