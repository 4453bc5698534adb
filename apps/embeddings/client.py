"""The client of the embedding server: vectors of search texts."""

from functools import cache

import numpy as np
from django.conf import settings

from apps.caching.two_level import Computed
from apps.caching.two_level import cache as two_level_cache
from apps.embeddings.models import EmbeddingModel
from apps.rpc.client import Client
from proto import embedding_pb2, embedding_pb2_grpc

TEXTS_IN_DEADLINE = 50  # a call with more texts has a longer deadline, by their number

EmbeddingClient = Client[embedding_pb2_grpc.EmbeddingServiceStub]


@cache
def embedding_server() -> EmbeddingClient:
    """The client of this process: one, since it holds the circuit breaker."""
    return Client(settings.EMBEDDING_ADDRESS, embedding_pb2_grpc.EmbeddingServiceStub)


def query_vector(text: str, model: EmbeddingModel) -> list[float]:
    """The vector of a search text with `model`, cached by text.

    Raises TransientRpcError or CircuitOpenError if the server is unavailable, slow or busy, and
    PermanentRpcError if it cannot serve the model.
    """
    return two_level_cache.get_or_compute(
        "query_vector",
        {"text": text, "model": model.pk},
        tags=(),  # a text and a model version always give the same vector
        compute=lambda: Computed(embed_texts([text], model)[0]),
    )


def embed_texts(texts: list[str], model: EmbeddingModel) -> list[list[float]]:
    """The vectors of at most 256 texts, in their order, by one call. Raises as `query_vector` does."""
    request = embedding_pb2.EmbedRequest(
        texts=texts, model=embedding_pb2.ModelVersion(name=model.name, revision=model.revision)
    )
    deadline = settings.EMBED_DEADLINE * max(1.0, len(texts) / TEXTS_IN_DEADLINE)
    response = embedding_server().call(lambda stub: stub.Embed, request, deadline=deadline)
    vectors = np.frombuffer(response.vectors, dtype="<f4").reshape(len(texts), model.dimensions)
    return [[float(value) for value in row] for row in vectors]
