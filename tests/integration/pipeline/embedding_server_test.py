"""The embedding gRPC server as its own process, protected by a token."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from proto import embedding_pb2, embedding_pb2_grpc
from tests.stack import Stack

TOKEN = (("authorization", "Bearer secret"),)


@pytest.fixture(scope="module")
def server(servers: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(servers, tmp_path_factory.mktemp("stack"), RPC_TOKEN="secret")
    try:
        stack.create()
        stack.sql(
            "INSERT INTO embeddings_embeddingmodel (name, weights, template, windows, revision, dimensions, state, "
            "created_at) VALUES ('all-MiniLM-L6-v2', 'main', 1, 8, 'main-t1-w8', 384, 'active', now()), "
            "('/nowhere', 'main', 1, 8, 'main-t1-w8', 384, 'filling', now())"
        )
        stack.start("embedding-server")
        yield stack
    finally:
        stack.close()


@pytest.fixture
def channel(server: Stack) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{server.ports.embedding}") as channel:
        yield channel


def embed(channel: grpc.Channel, *texts: str, name: str = "all-MiniLM-L6-v2", **options: Any) -> Any:
    request = embedding_pb2.EmbedRequest(
        texts=texts, model=embedding_pb2.ModelVersion(name=name, revision="main-t1-w8")
    )
    stub = embedding_pb2_grpc.EmbeddingServiceStub(channel)
    with_defaults: dict[str, Any] = {"timeout": 20, "metadata": TOKEN} | options
    return stub.Embed(request, **with_defaults)


def test_texts_become_vectors(channel: grpc.Channel) -> None:
    answer = embed(channel, "nurse", "welder")
    vectors = np.frombuffer(answer.vectors, "<f4").reshape(2, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    assert (answer.model.revision, answer.model.dimensions) == ("main-t1-w8", 384)


def test_info_says_what_is_loaded(channel: grpc.Channel) -> None:
    embed(channel, "x")
    info = embedding_pb2_grpc.EmbeddingServiceStub(channel).Info(
        embedding_pb2.InfoRequest(), timeout=5, metadata=TOKEN
    )
    assert [(model.name, model.dimensions) for model in info.models] == [("all-MiniLM-L6-v2", 384)]
    assert info.max_texts == 256


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
def test_refusals_say_why(
    channel: grpc.Channel, texts: list[str], options: dict[str, Any], code: grpc.StatusCode, message: str
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        embed(channel, *texts, **options)
    assert error.value.code() == code
    assert message in (error.value.details() or "")


def test_health_needs_no_token_and_reflection_lists_the_service(channel: grpc.Channel) -> None:
    service = "jobrec.embedding.v1.EmbeddingService"
    health = health_pb2_grpc.HealthStub(channel).Check(
        health_pb2.HealthCheckRequest(service=service), timeout=5
    )
    assert health.status == health_pb2.HealthCheckResponse.SERVING
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    [answer] = stub.ServerReflectionInfo(iter([request]), timeout=5, metadata=TOKEN)
    assert service in {each.name for each in answer.list_services_response.service}


def test_a_server_that_others_can_reach_must_be_protected(server: Stack) -> None:
    server.environment.pop("RPC_TOKEN")
    output = server.manage("embedding_server", "--bind", "0.0.0.0:0", status=1)
    assert "can be reached from other machines: set RPC_TOKEN" in output
