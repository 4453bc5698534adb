"""EmbedStream with an encoder that the test releases call by call."""

import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest

from apps.rpc.server import RunningServer
from proto import embedding_pb2
from tests.integration.workers.servicer import MODEL, PATIENCE, Encoder, embed, failure, iter_queue
from tests.stack import wait_until
from workers.embedding_server import MAX_CHUNKS_AHEAD


class Sender:
    """Requests of a stream, sent by the test. `taken` counts those that gRPC has taken."""

    def __init__(self) -> None:
        self.queue: queue.Queue[Any] = queue.Queue()
        self.taken = 0

    def __iter__(self) -> Iterator[Any]:
        while (request := self.queue.get()) is not None:
            self.taken += 1
            yield request

    def send(self, chunk: int, *texts: str, **changes: Any) -> None:
        inputs = [embedding_pb2.Input(key=text[:9].encode(), text=text) for text in texts]
        fields: dict[str, Any] = {"chunk": chunk, "model": MODEL, "inputs": inputs} | changes
        self.queue.put(embedding_pb2.EmbedStreamRequest(**fields))

    def end(self) -> None:
        self.queue.put(None)


def first_numbers(answer: Any, dtype: str = "<f4") -> list[float | str]:
    """Return the first number of each vector, which is the length of its text, or its error."""
    return [
        float(np.frombuffer(each.vector, dtype)[0]) if each.WhichOneof("result") == "vector" else each.error
        for each in answer.outputs
    ]


def test_a_stream_with_bad_texts_is_answered_in_order_with_errors_in_place(
    stub: Any, encoder: Encoder
) -> None:
    encoder.gate.release(100)
    sender = Sender()
    answers = stub.EmbedStream(iter(sender), timeout=PATIENCE)
    sender.send(7, "a", " ", "ccc", "badtext", "dddd", "eeeee")
    sender.send(5)
    sender.send(6, "bb", format=embedding_pb2.VECTOR_FORMAT_FLOAT16)
    sender.end()
    first, empty, last = answers
    assert (first.chunk, first.model.name, first.model.revision, first.model.dimensions) == (7, "m", "r", 2)
    assert [each.key for each in first.outputs] == [b"a", b" ", b"ccc", b"badtext", b"dddd", b"eeeee"]
    assert first_numbers(first) == [
        1,
        "the text is empty",
        3,
        "cannot be encoded: ValueError: cannot encode …",
        4,
        5,
    ]
    assert (empty.chunk, list(empty.outputs)) == (5, [])
    assert (last.chunk, last.format, first_numbers(last, "<f2")) == (
        6,
        embedding_pb2.VECTOR_FORMAT_FLOAT16,
        [2],
    )


def test_a_stream_whose_sender_is_fast_is_read_only_a_few_chunks_ahead(stub: Any, encoder: Encoder) -> None:
    sender = Sender()
    answers = stub.EmbedStream(iter(sender), timeout=PATIENCE)
    large = "x" * 5_000_000
    for chunk in range(40):
        sender.send(chunk, f"{chunk:02}{large}")
    encoder.calls.get(timeout=PATIENCE)
    time.sleep(1)  # long enough to send them all, if the server read them
    # The server has read two; the rest is in the buffers of the connection.
    assert MAX_CHUNKS_AHEAD <= sender.taken <= 20
    encoder.gate.release(100)
    sender.end()
    assert [answer.chunk for answer in answers] == list(range(40))


def test_a_stream_whose_sender_waits_for_each_answer_is_answered(stub: Any, encoder: Encoder) -> None:
    encoder.gate.release(100)
    sender = Sender()
    answers = stub.EmbedStream(iter(sender), timeout=PATIENCE)
    for chunk in range(5):
        sender.send(chunk, "text")
        assert next(answers).chunk == chunk
    sender.end()
    assert list(answers) == []


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"model": {"name": "m", "revision": "other"}}, "NOT_FOUND", "no model m@other is registered"),
        (
            {"model": {"name": "m", "revision": "r", "dimensions": 3}},
            "FAILED_PRECONDITION",
            "model.dimensions: m@r has 2, not 3",
        ),
        ({"inputs": [{"text": "a"}] * 4097}, "INVALID_ARGUMENT", "inputs: 4097 are too many, at most 4096"),
        ({"format": 9}, "INVALID_ARGUMENT", "format: 9 is not known"),
    ],
)
def test_an_invalid_chunk_ends_its_stream_after_the_answers_before_it(
    stub: Any, encoder: Encoder, changes: dict[str, Any], status: str, message: str
) -> None:
    encoder.gate.release(100)
    sender = Sender()
    answers = stub.EmbedStream(iter(sender), timeout=PATIENCE)
    sender.send(1, "good")
    sender.send(2, **changes)
    assert next(answers).chunk == 1
    assert failure(answers) == (status, message)
    sender.end()


def test_a_stream_beyond_the_limit_is_refused_until_another_ends(stub: Any, encoder: Encoder) -> None:
    senders = [Sender(), Sender()]
    streams = [stub.EmbedStream(iter(sender), timeout=PATIENCE) for sender in senders]
    for sender, stream in zip(senders, streams, strict=True):
        sender.send(1)
        assert next(stream).chunk == 1
    third = Sender()
    third.end()
    assert failure(stub.EmbedStream(iter(third), timeout=PATIENCE)) == (
        "RESOURCE_EXHAUSTED",
        "2 streams are open, which is the maximum (EMBED_STREAMS)",
    )
    streams[0].cancel()

    def has_room() -> bool:
        sender = Sender()
        sender.send(1)
        sender.end()
        try:
            return next(stub.EmbedStream(iter(sender), timeout=PATIENCE)).chunk == 1
        except grpc.RpcError:
            return False

    wait_until(has_room, "another stream is accepted")
    for sender in senders:
        sender.end()


def test_a_stream_that_is_cancelled_is_not_encoded_further(stub: Any, encoder: Encoder, models: Any) -> None:
    sender = Sender()
    stream = stub.EmbedStream(iter(sender), timeout=PATIENCE)
    sender.send(1, *["d" * n for n in range(1, 10)])
    assert len(encoder.calls.get(timeout=PATIENCE)) == 4
    assert models.waiting("document") == 5
    stream.cancel()
    sender.end()
    wait_until(lambda: models.waiting("document") == 0, "the server has dropped the call")
    after = embed(stub, "after")
    encoder.gate.release(10)
    after.result(PATIENCE)
    other = Sender()
    other.send(1, "other")
    other.end()
    assert [answer.chunk for answer in stub.EmbedStream(iter(other), timeout=PATIENCE)] == [1]
    assert list(iter_queue(encoder.calls)) == [["after"], ["other"]]


def test_a_stream_on_a_stopping_server_gets_the_answers_to_what_was_read_and_then_unavailable(
    server: RunningServer, stub: Any, encoder: Encoder, models: Any
) -> None:
    sender = Sender()
    stream = stub.EmbedStream(iter(sender), timeout=PATIENCE)
    sender.send(1, "read")
    encoder.calls.get(timeout=PATIENCE)
    call = embed(stub, "query")
    wait_until(lambda: models.waiting() == 1, "the query waits")
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    wait_until(lambda: failure(embed(stub, "late", timeout=0.5))[0] == "UNAVAILABLE", "no new call is taken")
    encoder.gate.release(10)
    assert next(stream).chunk == 1
    assert failure(stream) == ("UNAVAILABLE", "the server stops: send what is not answered to another server")
    assert len(call.result(PATIENCE).vectors) == 8
    stopping.join(PATIENCE)
    assert not stopping.is_alive()
    sender.end()
