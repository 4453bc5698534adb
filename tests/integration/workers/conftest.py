"""The embedding servicer behind a real gRPC server."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from apps.rpc.server import RunningServer, start_server
from proto import embedding_pb2_grpc
from tests.integration.workers.servicer import Encoder, Models
from workers import embedding_server
from workers.embedding_server import EmbeddingServicer


@pytest.fixture
def encoder() -> Encoder:
    """Return an encoder that holds each call until the test releases it."""
    return Encoder()


@pytest.fixture
def models(encoder: Encoder) -> Any:
    """Return the one model that the server serves."""
    return Models(encoder)


@pytest.fixture
def server(encoder: Encoder, models: Any, settings: Any) -> Iterator[RunningServer]:
    """Run the servicer behind a gRPC server on a free port."""
    settings.EMBED_STREAMS = 2
    servicer = EmbeddingServicer()
    servicer.models = models
    running = start_server(
        embedding_server.SERVICE,
        lambda server: embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server(servicer, server),
        address="127.0.0.1:0",
        calls=20,
        drain=servicer.drain,
    )
    yield running
    encoder.gate.release(1000)
    running.stop(grace=0)
    models.batcher.close()


@pytest.fixture
def stub(server: RunningServer) -> Iterator[Any]:
    """Return a client of that server."""
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield embedding_pb2_grpc.EmbeddingServiceStub(channel)
