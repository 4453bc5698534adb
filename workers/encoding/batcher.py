"""Dynamic batching: texts of concurrent calls share one encode. Independent of the model and of gRPC."""

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
    """The queue of waiting texts is full, or the encoder is being stopped."""


@dataclass(frozen=True)
class Limits:
    """Limits of the batcher.

    `texts` and `characters` are the maxima of a batch; a single longer text is still encoded. `wait` is the
    longest time, in seconds, that a free slot waits for more callers. `queue` is the maximum of waiting texts
    of queries.
    """

    texts: int
    characters: int
    wait: float
    queue: int


@dataclass(frozen=True)
class Batch:
    """One encode: the number of calls and texts in it, and the seconds that its oldest call had waited."""

    role: Role
    calls: int
    texts: int
    waited: float


class _Call:
    """The texts of one caller. The longest are taken first, so that a batch holds similar lengths."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self.left = deque(sorted(range(len(texts)), key=lambda index: -len(texts[index])))
        self.outcomes: dict[int, np.ndarray | BadText] = {}
        self.future: Future[Outcomes] = Future()
        self.since = time.monotonic()
        self.over = False

    def finish(self, failure: Exception | None) -> bool:
        """Mark the call as over if it failed or has all outcomes; return whether this call did so.

        Call it under the batcher's lock.
        """
        if self.over or not (failure or len(self.outcomes) == len(self.texts)):
            return False
        self.left.clear()
        self.over = True
        return True

    def resolve(self, failure: Exception | None) -> None:
        """Resolve the future. Call it once, after `finish` has returned True."""
        if not self.future.set_running_or_notify_cancel():
            return
        if failure:
            self.future.set_exception(failure)
        else:
            self.future.set_result([self.outcomes[index] for index in range(len(self.texts))])


class Batcher:
    """Encodes with `slots` threads, each of which takes as many waiting texts at a time as `limits` allow.

    An idle encoder takes a call at once. While many callers are active, a slot that becomes free waits up to
    `limits.wait` seconds until its share of them has called again; otherwise it would encode a few texts at a
    time. Queries, for which a person waits, are encoded before documents. A call with more texts than a batch
    holds is encoded in parts, and other calls get their turn in between.
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
        """`on_batch` is called before each encode.

        `deliver` receives a function that resolves the futures of a batch, and calls it in the thread of its
        choice.
        """
        self._deliver = deliver
        self._encode, self._slots, self._limits, self._on_batch = encode, slots, limits, on_batch
        self._changed = threading.Condition()
        self._waiting: dict[Role, deque[_Call]] = {"query": deque(), "document": deque()}
        self._encoding = 0  # texts of queries that the slots are encoding
        self._share = 1  # texts of queries that a free slot waits for
        self._closed = False
        for number in range(slots):
            threading.Thread(target=self._work, name=f"encode-{number}", daemon=True).start()

    def submit(self, texts: Sequence[str], *, role: Role) -> "Future[Outcomes]":
        """Queue texts; return a future of one outcome for each text: its vector, or a BadText.

        Cancelling the future drops the texts that are not encoded yet. The future raises the EncoderErrors of
        the encoder. Raises QueueFullError if too many queries wait; the caller must bound the number of
        documents.
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
                raise QueueFullError(
                    f"the queue is full: {waiting} texts wait, at most {self._limits.queue} may"
                )
            self._waiting[role].append(call)
            # Do not wake a slot for each caller while it waits for its share of them.
            if role == "document" or not waiting or waiting + len(texts) >= self._share:
                self._changed.notify_all()
        return call.future

    def close(self) -> None:
        """Refuse new calls, and end the threads after the waiting ones are encoded. Returns at once."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _work(self) -> None:
        while (parts := self._next_parts()) is not None:
            self._encode_parts(*parts)

    def _next_parts(self) -> tuple[Role, list[tuple[_Call, int]]] | None:
        """Wait for the next batch; return its role and its texts as (call, index), or None at the end."""
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
                max_texts = self._share_now() if role == "query" else self._limits.texts
                if parts := self._take(self._waiting[role], max_texts):
                    self._encoding += len(parts) if role == "query" else 0
                    return role, parts
                if self._closed:
                    return None

    def _waiting_queries(self) -> int:
        return sum(len(call.left) for call in self._waiting["query"])

    def _drop_ended(self) -> None:
        for lane in self._waiting.values():
            if any(call.over or call.future.done() for call in lane):  # failed, or cancelled
                alive = [call for call in lane if not (call.over or call.future.done())]
                lane.clear()
                lane.extend(alive)

    def _share_now(self) -> int:
        """Return the texts of queries, waiting or being encoded, divided by the number of slots."""
        under_way = self._encoding + self._waiting_queries()
        return min(-(-under_way // self._slots), self._limits.texts)

    def _take(self, lane: deque[_Call], max_texts: int) -> list[tuple[_Call, int]]:
        parts: list[tuple[_Call, int]] = []
        characters = 0
        while lane and len(parts) < max_texts:
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
            over = [call for call in calls if call.finish(failure)]
            if role == "query":
                self._share = self._share_now()
                self._encoding -= len(parts)

        def resolve() -> None:
            for call in over:
                call.resolve(failure)

        self._deliver(resolve)
