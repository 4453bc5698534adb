"""The calling end of the embedding server: vectors for text at query time."""

from functools import cache

import numpy as np
from django.conf import settings

from apps.caching.two_level import Computed
from apps.caching.two_level import cache as answers
from apps.embeddings.models import EmbeddingModel
from apps.rpc.client import Client
from proto import embedding_pb2, embedding_pb2_grpc

EmbeddingClient = Client[embedding_pb2_grpc.EmbeddingServiceStub]


@cache
def embedding_server() -> EmbeddingClient:
    """This process's client: one, so that its circuit breaker remembers."""
    return Client(settings.EMBEDDING_ADDRESS, embedding_pb2_grpc.EmbeddingServiceStub)


def query_vector(text: str, model: EmbeddingModel) -> list[float]:
    """The vector of a search text with `model`, cached by text.

    Raises TransientRpcError or CircuitOpenError where the server is gone, slow or busy, PermanentRpcError where it
    cannot serve the model.
    """
    return answers.get_or_compute(
        "query_vector",
        {"text": text, "model": model.pk},
        tags=(),  # the same text and model version give the same vector for ever
        compute=lambda: Computed(_embed([text], model)[0]),
    )


def _embed(texts: list[str], model: EmbeddingModel) -> list[list[float]]:
    request = embedding_pb2.EmbedRequest(
        texts=texts, model=embedding_pb2.ModelVersion(name=model.name, revision=model.revision)
    )
    answer = embedding_server().call(lambda stub: stub.Embed, request, deadline=settings.EMBED_DEADLINE)
    vectors = np.frombuffer(answer.vectors, dtype="<f4").reshape(len(texts), model.dimensions)
    return [[float(value) for value in row] for row in vectors]
