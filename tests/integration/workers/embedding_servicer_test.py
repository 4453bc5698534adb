"""The embedding servicer behind a real gRPC server, with an encoder that the test lets go on step by step."""

import os
import queue
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import grpc
import numpy as np
import pytest

from apps.rpc.server import RunningServer, start_server
from proto import embedding_pb2, embedding_pb2_grpc
from tests.stack import wait_until
from workers import embedding_server
from workers.embedding_server import CHUNKS_AHEAD, EmbeddingServicer
from workers.encoding.batcher import Batcher, Limits
from workers.encoding.encoder import Role
from workers.encoding.errors import TransientEncoderError
from workers.served_models import UnknownModelError

PATIENCE = 20  # seconds
MODEL = embedding_pb2.ModelVersion(name="m", revision="r")


class Encoder:
    """Notes what it is given, and encodes a text as its length; holds each call until the test lets it go."""

    def __init__(self) -> None:
        self.calls: queue.Queue[list[str]] = queue.Queue()
        self.gate = threading.Semaphore(0)
        self.broken = False

    def encode(self, texts: Sequence[str], role: str) -> Any:
        self.calls.put(list(texts))
        assert self.gate.acquire(timeout=PATIENCE)
        if "poison" in texts or self.broken:
            raise ValueError("cannot encode poison")
        if "memory" in texts:
            raise TransientEncoderError("no memory for one window")
        return np.array([[len(text), 1] for text in texts], np.float32)


class Models:
    """In the place of the registry: one model of two dimensions."""

    def __init__(self, encoder: Encoder) -> None:
        self.batcher = Batcher(
            encoder.encode, slots=1, limits=Limits(texts=4, characters=1000, wait=0.01, queue=3)
        )
        self.name, self.revision, self.dimensions = "m", "r", 2

    def waiting(self, role: Role = "query") -> int:
        """Texts that wait and that somebody still wants."""
        lane = self.batcher._waiting[role]
        return sum(len(call.left) for call in list(lane) if not call.future.done())

    def find(self, name: str, revision: str) -> "Models":
        if (name, revision) != ("m", "r"):
            raise UnknownModelError(f"no model {name}@{revision} is registered")
        return self


@pytest.fixture
def encoder() -> Encoder:
    return Encoder()


@pytest.fixture
def models(encoder: Encoder) -> Any:
    return Models(encoder)


@pytest.fixture
def server(encoder: Encoder, models: Any, settings: Any) -> Iterator[RunningServer]:
    settings.EMBED_STREAMS = 2
    servicer = EmbeddingServicer()
    servicer.models = models
    running = start_server(
        embedding_server.SERVICE,
        lambda server: embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server(servicer, server),
        address="127.0.0.1:0",
        threads=20,
        drain=servicer.drain,
    )
    yield running
    encoder.gate.release(1000)
    running.stop(grace=0)
    models.batcher.close()


@pytest.fixture
def stub(server: RunningServer) -> Iterator[Any]:
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield embedding_pb2_grpc.EmbeddingServiceStub(channel)


class Sender:
    """The requests of a stream, sent when the test says so. `taken` counts those that gRPC took to send."""

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


def embed(stub: Any, *texts: str, timeout: float = PATIENCE) -> Any:
    return stub.Embed.future(embedding_pb2.EmbedRequest(texts=texts, model=MODEL), timeout=timeout)


def failure(call: Any) -> tuple[str, str]:
    """(status, details) of a call that fails."""
    with pytest.raises(grpc.RpcError) as error:
        call.result(PATIENCE) if hasattr(call, "result") else next(call)
    return error.value.code().name, error.value.details() or ""


def first_numbers(answer: Any, dtype: str = "<f4") -> list[float | str]:
    """The length of each text, which is the first number of its vector, or its error."""
    return [
        float(np.frombuffer(each.vector, dtype)[0]) if each.WhichOneof("result") == "vector" else each.error
        for each in answer.outputs
    ]


def test_concurrent_calls_share_an_encode_and_each_gets_its_own_vectors(
    stub: Any, encoder: Encoder, models: Any
) -> None:
    first = embed(stub, "first")
    assert encoder.calls.get(timeout=PATIENCE) == ["first"]
    others = [embed(stub, text) for text in ("a", "bb", "ccc")]
    wait_until(lambda: models.waiting() == 3, "three calls wait")
    encoder.gate.release()
    assert sorted(encoder.calls.get(timeout=PATIENCE)) == ["a", "bb", "ccc"]
    encoder.gate.release()
    assert [np.frombuffer(each.result(PATIENCE).vectors, "<f4")[0] for each in [first, *others]] == [
        5,
        1,
        2,
        3,
    ]


def test_a_call_beyond_the_queue_is_told_so(stub: Any, encoder: Encoder, models: Any) -> None:
    first = embed(stub, "first")
    encoder.calls.get(timeout=PATIENCE)
    waiting = embed(stub, "a", "b", "c")
    wait_until(lambda: models.waiting() == 3, "three texts wait")
    refused = embed(stub, "d")
    assert failure(refused) == ("RESOURCE_EXHAUSTED", "3 texts wait already, at most 3 may")
    encoder.gate.release(10)
    assert len(first.result(PATIENCE).vectors) == 8
    assert len(waiting.result(PATIENCE).vectors) == 24


def test_a_server_whose_encoder_is_broken_ends(
    stub: Any, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr("os.kill", lambda *given: killed.append(given))
    encoder.gate.release(20)
    assert failure(embed(stub, "poison"))[0] == "INVALID_ARGUMENT"  # the text is to blame, not the encoder
    assert killed == []
    encoder.broken = True
    assert failure(embed(stub, "good"))[0] == "UNAVAILABLE"
    assert killed == [(os.getpid(), signal.SIGTERM)]


def test_a_poison_text_fails_its_own_call_alone_without_being_quoted(
    stub: Any, encoder: Encoder, models: Any
) -> None:
    first = embed(stub, "first")
    encoder.calls.get(timeout=PATIENCE)
    bad, good = embed(stub, "ok", "poison"), embed(stub, "good")
    wait_until(lambda: models.waiting() == 3, "three texts wait")
    encoder.gate.release(20)
    assert failure(bad) == ("INVALID_ARGUMENT", "texts[1]: cannot be encoded: ValueError: cannot encode …")
    assert np.frombuffer(good.result(PATIENCE).vectors, "<f4")[0] == 4
    first.result(PATIENCE)


def test_memory_that_is_short_is_no_fault_of_the_text(stub: Any, encoder: Encoder) -> None:
    encoder.gate.release()
    assert failure(embed(stub, "memory")) == ("RESOURCE_EXHAUSTED", "no memory for one window")


def test_a_call_whose_deadline_passed_in_the_queue_is_not_encoded(
    stub: Any, encoder: Encoder, models: Any
) -> None:
    first = embed(stub, "first")
    encoder.calls.get(timeout=PATIENCE)
    late, hung_up = embed(stub, "late", timeout=1), embed(stub, "hung up")
    wait_until(lambda: models.waiting() == 2, "both wait")
    assert failure(late)[0] == "DEADLINE_EXCEEDED"
    hung_up.cancel()
    wait_until(lambda: models.waiting() == 0, "both have left the queue")
    after = embed(stub, "after")
    encoder.gate.release(10)
    after.result(PATIENCE)
    first.result(PATIENCE)
    encoded = [text for call in iter_queue(encoder.calls) for text in call]
    assert "late" not in encoded
    assert "hung up" not in encoded


def iter_queue(calls: "queue.Queue[list[str]]") -> Iterator[list[str]]:
    while not calls.empty():
        yield calls.get()


def test_a_stream_is_answered_in_order_with_its_errors_in_place(stub: Any, encoder: Encoder) -> None:
    encoder.gate.release(100)
    sender = Sender()
    answers = stub.EmbedStream(iter(sender), timeout=PATIENCE)
    sender.send(7, "a", " ", "ccc", "poison", "dddd", "eeeee")
    sender.send(5)
    sender.send(6, "bb", format=embedding_pb2.VECTOR_FORMAT_FLOAT16)
    sender.end()
    first, empty, last = answers
    assert (first.chunk, first.model.name, first.model.revision, first.model.dimensions) == (7, "m", "r", 2)
    assert [each.key for each in first.outputs] == [b"a", b" ", b"ccc", b"poison", b"dddd", b"eeeee"]
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


def test_a_sender_that_is_too_fast_has_to_wait(stub: Any, encoder: Encoder) -> None:
    sender = Sender()
    answers = stub.EmbedStream(iter(sender), timeout=PATIENCE)
    large = "x" * 5_000_000
    for chunk in range(40):
        sender.send(chunk, f"{chunk:02}{large}")
    encoder.calls.get(timeout=PATIENCE)
    time.sleep(1)  # long enough to send them all, were they read
    # The server has read two; the rest of what was taken lies in the buffers of the connection.
    assert CHUNKS_AHEAD <= sender.taken <= 20
    encoder.gate.release(100)
    sender.end()
    assert [answer.chunk for answer in answers] == list(range(40))


def test_a_sender_that_waits_for_each_answer_is_answered(stub: Any, encoder: Encoder) -> None:
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
def test_a_chunk_that_is_wrong_ends_its_stream_after_the_answers_before_it(
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


def test_too_many_streams_are_refused_until_one_ends(stub: Any, encoder: Encoder) -> None:
    senders = [Sender(), Sender()]
    streams = [stub.EmbedStream(iter(sender), timeout=PATIENCE) for sender in senders]
    for sender, stream in zip(senders, streams, strict=True):
        sender.send(1)
        assert next(stream).chunk == 1
    third = Sender()
    third.end()
    assert failure(stub.EmbedStream(iter(third), timeout=PATIENCE)) == (
        "RESOURCE_EXHAUSTED",
        "2 streams are open, which is as many as may be",
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

    wait_until(has_room, "the cancelled stream has made room")
    for sender in senders:
        sender.end()


def test_a_cancelled_stream_is_not_encoded_further(stub: Any, encoder: Encoder, models: Any) -> None:
    sender = Sender()
    stream = stub.EmbedStream(iter(sender), timeout=PATIENCE)
    sender.send(1, *["d" * n for n in range(1, 10)])
    assert len(encoder.calls.get(timeout=PATIENCE)) == 4
    assert models.waiting("document") == 5
    stream.cancel()
    sender.end()
    wait_until(lambda: models.waiting("document") == 0, "the server has heard of it")
    after = embed(stub, "after")
    encoder.gate.release(10)
    after.result(PATIENCE)
    other = Sender()
    other.send(1, "other")
    other.end()
    assert [answer.chunk for answer in stub.EmbedStream(iter(other), timeout=PATIENCE)] == [1]
    assert list(iter_queue(encoder.calls)) == [["after"], ["other"]]


def test_a_stop_answers_what_was_read_and_sends_the_rest_elsewhere(
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
    assert failure(stream) == ("UNAVAILABLE", "the server stops: send what is not answered to another")
    assert len(call.result(PATIENCE).vectors) == 8
    stopping.join(PATIENCE)
    assert not stopping.is_alive()
    sender.end()
