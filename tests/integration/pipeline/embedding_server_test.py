"""The embedding server in a process of its own, protected by a token."""

import re
import signal
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from apps.rpc.client import CHANNEL_OPTIONS
from apps.rpc.server import MAX_MESSAGE_BYTES
from jobrec_site.local.preflight import free_ports
from proto import embedding_pb2, embedding_pb2_grpc
from tests.stack import Stack, wait_until

TOKEN = (("authorization", "Bearer secret"),)


@pytest.fixture(scope="module")
def server(servers: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run an embedding server with an active model and one that cannot be loaded."""
    metrics = f"127.0.0.1:{free_ports().web}"
    folder = tmp_path_factory.mktemp("stack")
    stack = Stack(servers, folder, RPC_TOKEN="secret", EMBED_METRICS_BIND=metrics)
    stack.notes["metrics"] = metrics
    try:
        stack.create()
        stack.sql(
            "INSERT INTO embeddings_embeddingmodel (name, weights, template, windows, revision, "
            "dimensions, state, created_at) VALUES "
            "('all-MiniLM-L6-v2', 'main', 1, 8, 'main-t1-w8', 384, 'active', now()), "
            "('/nowhere', 'main', 1, 8, 'main-t1-w8', 384, 'filling', now())"
        )
        stack.start("embedding-server")
        yield stack
    finally:
        stack.close()


@pytest.fixture
def channel(server: Stack) -> Iterator[grpc.Channel]:
    """Return a channel to the server."""
    with grpc.insecure_channel(f"127.0.0.1:{server.ports.embedding}", options=CHANNEL_OPTIONS) as channel:
        yield channel


def embed(channel: grpc.Channel, *texts: str, name: str = "all-MiniLM-L6-v2", **options: Any) -> Any:
    """Call Embed; return its answer."""
    request = embedding_pb2.EmbedRequest(
        texts=texts, model=embedding_pb2.ModelVersion(name=name, revision="main-t1-w8")
    )
    stub = embedding_pb2_grpc.EmbeddingServiceStub(channel)
    with_defaults: dict[str, Any] = {"timeout": 20, "metadata": TOKEN} | options
    return stub.Embed(request, **with_defaults)


def test_embed_returns_a_vector_of_length_one_for_each_text(channel: grpc.Channel) -> None:
    answer = embed(channel, "nurse", "welder")
    vectors = np.frombuffer(answer.vectors, "<f4").reshape(2, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    assert (answer.model.revision, answer.model.dimensions) == ("main-t1-w8", 384)


def test_info_lists_the_loaded_models_and_the_limits(channel: grpc.Channel) -> None:
    embed(channel, "x")
    info = embedding_pb2_grpc.EmbeddingServiceStub(channel).Info(
        embedding_pb2.InfoRequest(), timeout=5, metadata=TOKEN
    )
    assert [(model.name, model.dimensions) for model in info.models] == [("all-MiniLM-L6-v2", 384)]
    assert (info.max_texts, info.max_chunk_texts) == (256, 4096)


@pytest.mark.parametrize(
    ("texts", "options", "code", "message"),
    [
        ([], {}, grpc.StatusCode.INVALID_ARGUMENT, "texts: at least one is needed"),
        (["a", " "], {}, grpc.StatusCode.INVALID_ARGUMENT, "texts[1]: is empty"),
        (["a"] * 257, {}, grpc.StatusCode.INVALID_ARGUMENT, "texts: 257 are too many, at most 256"),
        (["a"], {"name": "other"}, grpc.StatusCode.NOT_FOUND, "no model other@main-t1-w8 is registered"),
        (["a"], {"name": "/nowhere"}, grpc.StatusCode.FAILED_PRECONDITION, "cannot load '/nowhere'"),
        (["a"], {"metadata": ()}, grpc.StatusCode.UNAUTHENTICATED, "RPC_TOKEN"),
        (["a"], {"timeout": 0.0001}, grpc.StatusCode.DEADLINE_EXCEEDED, ""),
    ],
)
def test_embed_of_an_invalid_request_fails_with_a_status_and_a_reason(
    channel: grpc.Channel, texts: list[str], options: dict[str, Any], code: grpc.StatusCode, message: str
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        embed(channel, *texts, **options)
    assert error.value.code() == code
    assert message in (error.value.details() or "")


def test_health_check_without_a_token_is_answered_and_reflection_lists_the_service(
    channel: grpc.Channel,
) -> None:
    service = "jobrec.embedding.v1.EmbeddingService"
    health = health_pb2_grpc.HealthStub(channel).Check(
        health_pb2.HealthCheckRequest(service=service), timeout=5
    )
    assert health.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as error:  # Watch never ends, so it needs a token
        next(
            health_pb2_grpc.HealthStub(channel).Watch(
                health_pb2.HealthCheckRequest(service=service), timeout=5
            )
        )
    assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    [answer] = stub.ServerReflectionInfo(iter([request]), timeout=5, metadata=TOKEN)
    assert service in {each.name for each in answer.list_services_response.service}


def test_the_server_refuses_to_listen_on_a_public_address_without_a_token(server: Stack) -> None:
    for name in ("RPC_TOKEN", "EMBED_METRICS_BIND"):
        server.environment.pop(name)
    output = server.manage("embedding_server", "--bind", "0.0.0.0:0", status=1)
    assert "is open to other machines: set RPC_TOKEN" in output


def test_the_server_names_the_metrics_address_when_it_is_taken(server: Stack) -> None:
    taken = server.notes["metrics"]
    output = server.manage(
        "embedding_server", "--bind", "127.0.0.1:0", status=1, environment={"EMBED_METRICS_BIND": taken}
    )
    assert f"CommandError: Cannot serve metrics at EMBED_METRICS_BIND={taken}: " in output


def metric(server: Stack, name: str) -> float:
    """Return the value of a metric, such as `jobrec_embed_batch_texts_count{role="query"}`."""
    with urllib.request.urlopen(f"http://{server.notes['metrics']}/metrics", timeout=10) as response:
        found = re.search(rf"^{re.escape(name)} (\S+)$", response.read().decode(), re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_embed_calls_of_many_callers_share_batches_and_each_gets_its_own_vector(
    server: Stack, channel: grpc.Channel
) -> None:
    texts = [f"{word} number {number}" for number in range(16) for word in ("nurse", "welder")]
    counts = [f'jobrec_embed_batch_texts_{part}{{role="query"}}' for part in ("sum", "count")]
    before = [metric(server, name) for name in counts]
    with ThreadPoolExecutor(32) as threads:
        together = list(threads.map(lambda text: embed(channel, text).vectors, texts * 4))
    encoded, batches = (metric(server, name) - earlier for name, earlier in zip(counts, before, strict=True))
    assert encoded == 128
    assert batches < 64
    for text, packed in zip(texts[:4], together[:4], strict=True):
        alone = np.frombuffer(embed(channel, text).vectors, "<f4")
        assert float(alone @ np.frombuffer(packed, "<f4")) > 0.999


def stream(channel: grpc.Channel, chunks: Sequence[Sequence[str]], **options: Any) -> Any:
    """Call EmbedStream with chunks of texts; return the iterator of its answers."""
    requests = (
        embedding_pb2.EmbedStreamRequest(
            chunk=number,
            model=embedding_pb2.ModelVersion(name="all-MiniLM-L6-v2", revision="main-t1-w8"),
            inputs=[
                embedding_pb2.Input(key=str(place).encode(), text=text) for place, text in enumerate(texts)
            ],
        )
        for number, texts in enumerate(chunks)
    )
    with_defaults: dict[str, Any] = {"timeout": 60, "metadata": TOKEN} | options
    return embedding_pb2_grpc.EmbeddingServiceStub(channel).EmbedStream(requests, **with_defaults)


def test_a_stream_returns_the_same_vectors_as_single_calls(channel: grpc.Channel) -> None:
    chunks = [["nurse", "welder on night shifts"], [], ["accountant"] * 20]
    answers = list(stream(channel, chunks))
    assert [[each.key for each in answer.outputs] for answer in answers] == [
        [b"0", b"1"],
        [],
        [str(place).encode() for place in range(20)],
    ]
    single = np.frombuffer(embed(channel, "welder on night shifts").vectors, "<f4")
    assert float(single @ np.frombuffer(answers[0].outputs[1].vector, "<f4")) > 0.999


def test_a_message_of_a_hundred_megabytes_is_accepted_and_a_larger_one_refused(
    server: Stack, channel: grpc.Channel
) -> None:
    text = "nurse " * 17_000_000  # 102 MB, of which the model reads its windows
    assert MAX_MESSAGE_BYTES - 10_000_000 < len(text) < MAX_MESSAGE_BYTES
    [answer] = stream(channel, [[text, "welder"]])
    assert [len(each.vector) for each in answer.outputs] == [4 * 384, 4 * 384]
    assert len(embed(channel, text).vectors) == 4 * 384
    unbounded = [("grpc.max_send_message_length", -1)]
    with (
        grpc.insecure_channel(f"127.0.0.1:{server.ports.embedding}", options=unbounded) as other,
        pytest.raises(grpc.RpcError) as error,
    ):
        embed(other, text + "nurse " * 1_000_000)
    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in (error.value.details() or "")


def test_a_stream_past_its_deadline_ends_and_the_server_still_answers(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as error:
        list(stream(channel, [["a word " * 2000] * 100] * 20, timeout=1))
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert len(embed(channel, "still here").vectors) == 4 * 384


def test_sigterm_during_a_stream_answers_what_was_read_and_then_ends_it(
    server: Stack, channel: grpc.Channel
) -> None:
    begun = 'jobrec_embed_batch_texts_count{role="document"}'
    before = metric(server, begun)
    answers = stream(channel, [["nurse", "welder"]] * 20_000)
    wait_until(lambda: metric(server, begun) > before, "a chunk is being encoded")
    server.signal("embedding-server", signal.SIGTERM)
    answered: list[int] = []
    with pytest.raises(grpc.RpcError) as error:
        answered.extend(answer.chunk for answer in answers)
    assert error.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "send what is not answered to another server" in (error.value.details() or ""), error.value
    assert 1 <= len(answered) < 20_000
    assert answered == list(range(len(answered)))
