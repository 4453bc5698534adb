"""The batcher with an encoder that the test releases call by call."""

import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from workers.encoding.batcher import Batcher, Limits, QueueFullError
from workers.encoding.errors import TransientEncoderError
from workers.encoding.isolation import BadText

PATIENCE = 10  # seconds
LIMITS = Limits(texts=4, characters=1000, wait=0.01, queue=6)


class Encoder:
    """Records its calls and holds each until the test releases it."""

    def __init__(self) -> None:
        self.calls: queue.Queue[tuple[str, list[str]]] = queue.Queue()
        self.gate = threading.Semaphore(0)
        self.bad: set[str] = set()
        self.broken: Exception | None = None

    def encode(self, texts: Sequence[str], role: str) -> Any:
        """Return [its length, 1] for each text."""
        self.calls.put((role, list(texts)))
        assert self.gate.acquire(timeout=PATIENCE)
        if self.broken:
            raise self.broken
        if self.bad & set(texts):
            raise ValueError("cannot")
        return np.array([[len(text), 1] for text in texts], np.float32)

    def next_call(self) -> tuple[str, list[str]]:
        """Wait for the next call; return its role and texts."""
        return self.calls.get(timeout=PATIENCE)

    def release(self, times: int = 1) -> None:
        """Let so many calls continue."""
        self.gate.release(times)


@pytest.fixture
def encoder() -> Encoder:
    """Return an encoder that holds each call."""
    return Encoder()


@pytest.fixture
def batcher(encoder: Encoder) -> Iterator[Batcher]:
    """Return a batcher with one slot."""
    made = Batcher(encoder.encode, slots=1, limits=LIMITS)
    yield made
    encoder.release(1000)
    made.close()


def lengths(future: "Future[Any]") -> list[float]:
    """Return the lengths of the texts as encoded."""
    return [float(vector[0]) for vector in future.result(PATIENCE)]


def test_a_lone_call_is_encoded_at_once(batcher: Batcher, encoder: Encoder) -> None:
    for text in ("a", "bb"):  # the second finds the encoder idle as well
        future = batcher.submit([text], role="query")
        assert encoder.next_call() == ("query", [text])
        encoder.release()
        assert lengths(future) == [len(text)]


def test_calls_that_arrive_during_an_encode_share_the_next_batches_up_to_the_limit(
    batcher: Batcher, encoder: Encoder
) -> None:
    first = batcher.submit(["first"], role="query")
    assert encoder.next_call() == ("query", ["first"])
    others = [batcher.submit([text], role="query") for text in "abcdef"]
    encoder.release(3)
    assert encoder.next_call() == ("query", ["a", "b", "c", "d"])
    assert encoder.next_call() == ("query", ["e", "f"])
    assert [lengths(each) for each in [first, *others]] == [[5], *[[1]] * 6]


def test_a_free_slot_waits_for_the_usual_number_of_callers(encoder: Encoder) -> None:
    batcher = Batcher(encoder.encode, slots=1, limits=replace(LIMITS, wait=PATIENCE))
    first = batcher.submit(["first"], role="query")
    encoder.next_call()
    for text in "abc":
        batcher.submit([text], role="query")
    encoder.release()
    first.result(PATIENCE)
    # Four calls were under way: the three that wait are not encoded before the fourth caller returns.
    assert encoder.calls.empty()
    batcher.submit(["back"], role="query")
    assert encoder.next_call() == ("query", ["a", "b", "c", "back"])
    encoder.release()
    batcher.close()


def test_two_free_slots_share_the_texts_of_a_call_evenly(encoder: Encoder) -> None:
    batcher = Batcher(encoder.encode, slots=2, limits=LIMITS)
    together = batcher.submit(["a", "bb", "ccc", "dddd"], role="query")
    assert sorted([encoder.next_call()[1], encoder.next_call()[1]]) == [["bb", "a"], ["dddd", "ccc"]]
    encoder.release(2)
    assert lengths(together) == [1, 2, 3, 4]
    batcher.close()


def test_the_futures_of_a_batch_are_resolved_together_by_deliver(encoder: Encoder) -> None:
    delivered: queue.Queue[Any] = queue.Queue()
    batcher = Batcher(encoder.encode, slots=1, limits=LIMITS, deliver=delivered.put)
    first = batcher.submit(["first"], role="query")
    encoder.next_call()
    others = [batcher.submit([text], role="query") for text in ("a", "bb")]
    encoder.release(2)
    delivered.get(timeout=PATIENCE)()
    assert lengths(first) == [5]
    resolve = delivered.get(timeout=PATIENCE)
    assert not any(each.done() for each in others)
    resolve()
    assert [lengths(each) for each in others] == [[1], [2]]
    batcher.close()


def test_the_wait_for_more_callers_ends_after_its_limit(batcher: Batcher, encoder: Encoder) -> None:
    encoder.release(100)
    for each in [batcher.submit([text], role="query") for text in "abcdef"]:
        each.result(PATIENCE)
    assert lengths(batcher.submit(["alone"], role="query")) == [5]


def test_queries_are_encoded_before_documents_and_between_the_parts_of_a_long_call(
    batcher: Batcher, encoder: Encoder
) -> None:
    documents = batcher.submit(["d" * n for n in (1, 6, 2, 5, 3, 4)], role="document")
    assert encoder.next_call() == ("document", ["d" * n for n in (6, 5, 4, 3)])
    query = batcher.submit(["q"], role="query")
    encoder.release(3)
    assert encoder.next_call() == ("query", ["q"])
    assert encoder.next_call() == ("document", ["dd", "d"])
    assert lengths(query) == [1]
    assert lengths(documents) == [1, 6, 2, 5, 3, 4]


def test_a_text_beyond_the_character_limit_is_encoded_alone(batcher: Batcher, encoder: Encoder) -> None:
    encoder.release(10)
    batcher.submit(["x" * 2000, "y" * 600, "z" * 500], role="document").result(PATIENCE)
    sizes = [[len(text) for text in encoder.next_call()[1]] for _ in range(3)]
    assert sizes == [[2000], [600], [500]]


def test_a_call_that_is_cancelled_while_it_waits_is_not_encoded(batcher: Batcher, encoder: Encoder) -> None:
    batcher.submit(["first"], role="query")
    encoder.next_call()
    cancelled, stays = (batcher.submit([text], role="query") for text in ("cancelled", "stays"))
    assert cancelled.cancel()
    encoder.release(2)
    assert encoder.next_call() == ("query", ["stays"])
    assert lengths(stays) == [5]
    with pytest.raises(CancelledError):
        cancelled.result(PATIENCE)


def test_a_call_that_is_cancelled_between_its_parts_is_not_encoded_further(
    batcher: Batcher, encoder: Encoder
) -> None:
    long = batcher.submit(["d"] * 9, role="document")
    encoder.next_call()
    assert long.cancel()
    after = batcher.submit(["e"], role="document")
    encoder.release(2)
    assert encoder.next_call() == ("document", ["e"])
    assert lengths(after) == [1]


def test_a_bad_text_fails_alone(batcher: Batcher, encoder: Encoder) -> None:
    encoder.bad = {"bad"}
    batcher.submit(["first"], role="query")
    encoder.next_call()
    good, mixed = batcher.submit(["good"], role="query"), batcher.submit(["ok", "bad"], role="query")
    encoder.release(20)
    assert lengths(good) == [4]
    vector, bad = mixed.result(PATIENCE)
    assert isinstance(vector, np.ndarray) and vector[0] == 2
    assert isinstance(bad, BadText) and bad.error.startswith("ValueError")


def test_an_encoder_error_reaches_the_caller_and_the_next_call_is_tried(
    batcher: Batcher, encoder: Encoder
) -> None:
    encoder.broken = TransientEncoderError("no memory")
    long = batcher.submit(["d"] * 6, role="document")  # two parts, of which the first fails
    encoder.next_call()
    encoder.release()
    with pytest.raises(TransientEncoderError, match="no memory"):
        long.result(PATIENCE)
    encoder.broken = None
    encoder.release(10)
    assert lengths(batcher.submit(["again"], role="query")) == [5]
    assert encoder.next_call() == ("query", ["again"])


def test_queries_beyond_the_queue_are_refused_and_documents_do_not_count(
    batcher: Batcher, encoder: Encoder
) -> None:
    batcher.submit(["first"], role="query")
    encoder.next_call()
    batcher.submit(["d"] * 50, role="document")
    waiting = batcher.submit(["q"] * 5, role="query")
    with pytest.raises(QueueFullError, match="the queue is full: 5 texts wait, at most 6 may"):
        batcher.submit(["q"] * 2, role="query")
    waiting.cancel()  # makes room at once
    batcher.submit(["q"] * 2, role="query")


def test_a_call_larger_than_the_queue_is_accepted_when_nothing_waits(
    batcher: Batcher, encoder: Encoder
) -> None:
    encoder.release(10)
    assert lengths(batcher.submit(["q"] * 20, role="query")) == [1] * 20


def test_a_closed_batcher_finishes_waiting_calls_and_refuses_new_ones(
    batcher: Batcher, encoder: Encoder
) -> None:
    future = batcher.submit(["d"] * 6, role="document")
    encoder.next_call()
    batcher.close()
    with pytest.raises(QueueFullError, match="is being stopped"):
        batcher.submit(["late"], role="query")
    encoder.release(2)
    assert lengths(future) == [1] * 6


def test_calls_from_many_threads_each_get_their_own_vectors(encoder: Encoder) -> None:
    encoder.release(100_000)
    batcher = Batcher(encoder.encode, slots=3, limits=Limits(8, 200, wait=0.001, queue=10_000))
    wrong: list[int] = []

    def call(number: int) -> None:
        for round_ in range(20):
            texts = ["x" * (1 + (number * 7 + round_ + place) % 40) for place in range(1 + number % 12)]
            if lengths(batcher.submit(texts, role="query" if number % 2 else "document")) != [
                len(text) for text in texts
            ]:
                wrong.append(number)

    threads = [threading.Thread(target=call, args=[number]) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    batcher.close()
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []
