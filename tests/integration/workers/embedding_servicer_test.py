"""Embed with an encoder that the test releases call by call."""

import os
import signal
from typing import Any

import grpc
import numpy as np
import pytest

from apps.rpc.server import RunningServer
from tests.integration.workers.servicer import PATIENCE, Encoder, embed, failure, iter_queue
from tests.stack import wait_until
from workers import embedding_server


def test_embed_calls_at_the_same_time_share_a_batch_and_each_gets_its_own_vectors(
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


def test_embed_is_refused_when_the_queue_is_full(stub: Any, encoder: Encoder, models: Any) -> None:
    first = embed(stub, "first")
    encoder.calls.get(timeout=PATIENCE)
    waiting = embed(stub, "a", "b", "c")
    wait_until(lambda: models.waiting() == 3, "three texts wait")
    refused = embed(stub, "d")
    assert failure(refused) == ("RESOURCE_EXHAUSTED", "the queue is full: 3 texts wait, at most 3 may")
    encoder.gate.release(10)
    assert len(first.result(PATIENCE).vectors) == 8
    assert len(waiting.result(PATIENCE).vectors) == 24


def test_the_server_ends_when_its_encoder_is_broken(
    stub: Any, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr("os.kill", lambda *given: killed.append(given))
    encoder.gate.release(20)
    assert (
        failure(embed(stub, "badtext"))[0] == "INVALID_ARGUMENT"
    )  # the fault of the text, not of the encoder
    assert killed == []
    encoder.broken = True
    assert failure(embed(stub, "good"))[0] == "UNAVAILABLE"
    assert killed == [(os.getpid(), signal.SIGTERM)]


def test_embed_of_a_bad_text_fails_alone_and_the_error_does_not_quote_it(
    stub: Any, encoder: Encoder, models: Any
) -> None:
    first = embed(stub, "first")
    encoder.calls.get(timeout=PATIENCE)
    bad, good = embed(stub, "ok", "badtext"), embed(stub, "good")
    wait_until(lambda: models.waiting() == 3, "three texts wait")
    encoder.gate.release(20)
    assert failure(bad) == ("INVALID_ARGUMENT", "texts[1]: cannot be encoded: ValueError: cannot encode …")
    assert np.frombuffer(good.result(PATIENCE).vectors, "<f4")[0] == 4
    first.result(PATIENCE)


def test_embed_is_refused_as_resource_exhausted_when_memory_is_short(stub: Any, encoder: Encoder) -> None:
    encoder.gate.release()
    assert failure(embed(stub, "memory")) == ("RESOURCE_EXHAUSTED", "no memory for one window")


def test_embed_that_is_cancelled_or_late_in_the_queue_is_not_encoded(
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


@pytest.mark.parametrize("method", ["Info", "Embed", "EmbedStream"])
def test_bytes_that_are_no_message_are_an_invalid_argument(server: RunningServer, method: str) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        call = channel.stream_stream(f"/{embedding_server.SERVICE}/{method}")
        with pytest.raises(grpc.RpcError) as error:
            list(call(iter([b"\xff\xff\xff no message"]), timeout=PATIENCE))
    failed: Any = error.value
    assert failed.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "DecodeError" not in failed.details()
