"""The client of EmbedStream: validated vectors from another embedding server."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

import grpc
import numpy as np
import numpy.typing as npt
from django.conf import settings

from apps.embeddings.client import EmbeddingClient
from apps.embeddings.models import EmbeddingModel
from apps.embeddings.quotes import without_quotes
from apps.rpc.credentials import bearer
from apps.rpc.errors import PermanentRpcError, TransientRpcError, translate
from proto import embedding_pb2

POLL = 0.5  # seconds


@dataclass(frozen=True)
class KeyedText:
    """A text and its key, the content hash of its rows."""

    key: bytes
    text: str


@dataclass(frozen=True)
class MissingVector:
    """The reason why a text has no vector. It does not quote the text."""

    error: str


Vector = npt.NDArray[np.floating[Any]]


class VectorStream:
    """One streaming call: chunks are sent, and their vectors received in the same order, until the deadline.

    Use it as a context manager and from one thread. Bound the number of chunks that are sent and not yet
    received: they are held in memory.
    """

    def __init__(self, client: EmbeddingClient, model: EmbeddingModel, *, deadline: float) -> None:
        self.address, self._model = client.address, model
        self._requests: SimpleQueue[embedding_pb2.EmbedStreamRequest | None] = SimpleQueue()
        self._sent: SimpleQueue[tuple[int, Sequence[KeyedText]]] = SimpleQueue()
        self._call = client.stub.EmbedStream(
            iter(self._requests.get, None), timeout=deadline, metadata=bearer(settings.PULL_TOKEN)
        )
        self._responses: SimpleQueue[embedding_pb2.EmbedStreamResponse | grpc.RpcError | None] = SimpleQueue()
        threading.Thread(target=self._read, name="responses", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._requests.put(None)
        if error is not None:
            self._call.cancel()

    def send(self, chunk: int, texts: Sequence[KeyedText]) -> None:
        """Send a chunk; `receive` returns its vectors."""
        self._sent.put((chunk, texts))
        self._requests.put(
            embedding_pb2.EmbedStreamRequest(
                chunk=chunk,
                model=embedding_pb2.ModelVersion(
                    name=self._model.name, revision=self._model.revision, dimensions=self._model.dimensions
                ),
                format=embedding_pb2.VECTOR_FORMAT_FLOAT16,  # as they are stored
                inputs=[embedding_pb2.Input(key=each.key, text=each.text) for each in texts],
            )
        )

    def _read(self) -> None:
        try:
            for response in self._call:
                self._responses.put(response)
        except grpc.RpcError as error:
            self._responses.put(error)
        else:
            self._responses.put(None)

    def receive(self, on_wait: Callable[[], None] = lambda: None) -> list[Vector | MissingVector]:
        """A vector of length 1, or why there is none, for each text of the next chunk.

        Calls `on_wait` every POLL seconds until the response arrives. Raises TransientRpcError, or
        PermanentRpcError if the response does not belong to the request.
        """
        chunk, texts = self._sent.get()
        call = f"EmbedStream to {self.address}"
        while True:
            try:
                response = self._responses.get(timeout=POLL)
                break
            except Empty:
                on_wait()
        if isinstance(response, grpc.RpcError):
            raise translate(response, call=call) from response
        if response is None:
            raise TransientRpcError(f"{call}: the stream ended before chunk {chunk} was received")
        made_by, wanted = response.model, self._model
        if (made_by.name, made_by.revision, made_by.dimensions) != (
            wanted.name,
            wanted.revision,
            wanted.dimensions,
        ):
            raise PermanentRpcError(
                f"{call}: the vectors are of {made_by.name}@{made_by.revision} with {made_by.dimensions} "
                f"dimensions, not of {wanted} with {wanted.dimensions}"
            )
        if response.chunk != chunk or [each.key for each in response.outputs] != [each.key for each in texts]:
            raise PermanentRpcError(f"{call}: the response to chunk {chunk} is about other texts")
        if response.format != embedding_pb2.VECTOR_FORMAT_FLOAT16:
            raise PermanentRpcError(f"{call}: the vectors are not float16, which was requested")
        return [
            _result(output, each.text, wanted.dimensions)
            for output, each in zip(response.outputs, texts, strict=True)
        ]


def check_server(client: EmbeddingClient, model: EmbeddingModel, *, deadline: float) -> None:
    """Send an empty chunk to test whether the server serves the model. Raises as `receive` does."""
    with VectorStream(client, model, deadline=deadline) as stream:
        stream.send(0, [])
        stream.receive()


def _result(output: embedding_pb2.Output, text: str, dimensions: int) -> Vector | MissingVector:
    if output.WhichOneof("result") != "vector":
        return MissingVector(without_quotes(output.error, of=text) or "the server has no vector of this text")
    if len(output.vector) != 2 * dimensions:
        return MissingVector(f"the vector has {len(output.vector) / 2:g} dimensions, the model {dimensions}")
    vector = np.frombuffer(output.vector, "<f2").astype(np.float32)
    length = np.linalg.norm(vector)
    if not np.isfinite(length):
        return MissingVector("the vector is not finite")
    if length == 0:
        return MissingVector("the vector has no length")
    return np.asarray(vector / length)
