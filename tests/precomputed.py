"""Another embedding server for tests: it derives vectors from content hashes instead of computing them."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import numpy as np

from proto import embedding_pb2, embedding_pb2_grpc

DIMENSIONS = 384


def vector_of(key: bytes) -> np.ndarray:
    """A vector of length 1 that depends only on the key."""
    vector = np.random.default_rng(list(key)).normal(size=DIMENSIONS).astype(np.float32)
    return np.asarray(vector / np.linalg.norm(vector))


class PrecomputedServer(embedding_pb2_grpc.EmbeddingServiceServicer):
    """An embedding service. `gate` bounds the chunks that it answers; `spoil` may replace an output.

    Its vectors are of the model that is requested, or of another `revision` of it.
    """

    def __init__(self, revision: str = "") -> None:
        self.revision = revision
        self.gate = threading.Semaphore(0)
        self.requests: list[list[bytes]] = []
        self.spoil: Callable[[embedding_pb2.Input], embedding_pb2.Output | None] = lambda _: None
        self.address = ""

    def Info(
        self, request: embedding_pb2.InfoRequest, context: grpc.ServicerContext
    ) -> embedding_pb2.InfoResponse:
        """Return the bound of a chunk only."""
        return embedding_pb2.InfoResponse(max_chunk_texts=4096)

    def Embed(
        self, request: embedding_pb2.EmbedRequest, context: grpc.ServicerContext
    ) -> embedding_pb2.EmbedResponse:
        """Refuse the call."""
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "only EmbedStream is implemented")

    def EmbedStream(
        self, request_iterator: Iterator[embedding_pb2.EmbedStreamRequest], context: grpc.ServicerContext
    ) -> Iterator[embedding_pb2.EmbedStreamResponse]:
        """Answer each chunk as soon as `gate` lets it through."""
        for request in request_iterator:
            if request.inputs:
                self.requests.append([each.key for each in request.inputs])
                while not self.gate.acquire(timeout=0.1):
                    if not context.is_active():
                        return
            yield embedding_pb2.EmbedStreamResponse(
                chunk=request.chunk,
                model=embedding_pb2.ModelVersion(
                    name=request.model.name,
                    revision=self.revision or request.model.revision,
                    dimensions=DIMENSIONS,
                ),
                format=embedding_pb2.VECTOR_FORMAT_FLOAT16,
                outputs=[self.spoil(each) or self.output(each.key) for each in request.inputs],
            )

    def output(self, key: bytes) -> embedding_pb2.Output:
        """The vector of a key as the proto encodes it."""
        return embedding_pb2.Output(key=key, vector=vector_of(key).astype("<f2").tobytes())


@contextmanager
def precomputed_server(revision: str = "") -> Iterator[PrecomputedServer]:
    """Run a server in this process, on a free port."""
    servicer = PrecomputedServer(revision)
    server = grpc.server(ThreadPoolExecutor(4))
    embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server(servicer, server)
    servicer.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield servicer
    finally:
        server.stop(0).wait()
