"""The calling end of EmbedStream: the vectors of an embedding server elsewhere, checked."""

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
from apps.rpc.credentials import bearer
from apps.rpc.errors import PermanentRpcError, TransientRpcError, translate
from proto import embedding_pb2

WAIT = 0.5  # seconds
QUOTE = 16  # characters in a row that an error has in common with its text when it quotes it


@dataclass(frozen=True)
class KeyedText:
    """A text, named by the content hash of its rows."""

    key: bytes
    text: str


@dataclass(frozen=True)
class MissingVector:
    """Why a text has no vector."""

    error: str


Vector = npt.NDArray[np.floating[Any]]


class VectorStream:
    """One call. Chunks go in, and their vectors come out in the same order; the call ends at its deadline.

    Use it as a context manager, from one thread, and bound how many chunks are under way: what is sent and not
    answered is held in memory here.
    """

    def __init__(self, client: EmbeddingClient, model: EmbeddingModel, *, deadline: float) -> None:
        self.address, self._model = client.address, model
        self._requests: SimpleQueue[embedding_pb2.EmbedStreamRequest | None] = SimpleQueue()
        self._sent: SimpleQueue[tuple[int, Sequence[KeyedText]]] = SimpleQueue()
        self._call = client.stub.EmbedStream(
            iter(self._requests.get, None), timeout=deadline, metadata=bearer(settings.PULL_TOKEN)
        )
        self._answers: SimpleQueue[embedding_pb2.EmbedStreamResponse | grpc.RpcError | None] = SimpleQueue()
        threading.Thread(target=self._read, name="answers", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._requests.put(None)
        if error is not None:
            self._call.cancel()

    def send(self, chunk: int, texts: Sequence[KeyedText]) -> None:
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
            for answer in self._call:
                self._answers.put(answer)
        except grpc.RpcError as error:
            self._answers.put(error)
        else:
            self._answers.put(None)

    def receive(self, on_wait: Callable[[], None] = lambda: None) -> list[Vector | MissingVector]:
        """A vector of length 1, or why there is none, for each text of the chunk whose turn it is.

        `on_wait` is called every WAIT seconds until the answer is there. Raises TransientRpcError, or PermanentRpcError where the server answers something else than it was asked.
        """
        chunk, texts = self._sent.get()
        call = f"EmbedStream to {self.address}"
        while True:
            try:
                answer = self._answers.get(timeout=WAIT)
                break
            except Empty:
                on_wait()
        if isinstance(answer, grpc.RpcError):
            raise translate(answer, call=call) from answer
        if answer is None:
            raise TransientRpcError(f"{call}: the stream ended before chunk {chunk} was answered")
        made_by, wanted = answer.model, self._model
        if (made_by.name, made_by.revision, made_by.dimensions) != (
            wanted.name,
            wanted.revision,
            wanted.dimensions,
        ):
            raise PermanentRpcError(
                f"{call}: the vectors are of {made_by.name}@{made_by.revision} with {made_by.dimensions} dimensions, "
                f"not of {wanted} with {wanted.dimensions}"
            )
        if answer.chunk != chunk or [each.key for each in answer.outputs] != [each.key for each in texts]:
            raise PermanentRpcError(f"{call}: chunk {chunk} was answered with other texts than it was sent")
        if answer.format != embedding_pb2.VECTOR_FORMAT_FLOAT16:
            raise PermanentRpcError(f"{call}: the vectors are not in the format that was asked for")
        return [
            _result(output, each.text, wanted.dimensions)
            for output, each in zip(answer.outputs, texts, strict=True)
        ]


def check_server(client: EmbeddingClient, model: EmbeddingModel, *, deadline: float) -> None:
    """Asks the server for no vector at all: raises as VectorStream.receive where it would not give any."""
    with VectorStream(client, model, deadline=deadline) as stream:
        stream.send(0, [])
        stream.receive()


def _result(output: embedding_pb2.Output, text: str, dimensions: int) -> Vector | MissingVector:
    if output.WhichOneof("result") != "vector":
        return MissingVector(_unquoted(output.error, text) or "the server has no vector of this text")
    if len(output.vector) != 2 * dimensions:
        return MissingVector(f"the vector has {len(output.vector) / 2:g} dimensions, the model {dimensions}")
    vector = np.frombuffer(output.vector, "<f2").astype(np.float32)
    length = np.linalg.norm(vector)
    if not np.isfinite(length):
        return MissingVector("the vector is not finite")
    if length == 0:
        return MissingVector("the vector has no length")
    return np.asarray(vector / length)


def _unquoted(error: str, text: str) -> str:
    """An error of a server that others wrote, without what it may quote."""
    stretches = (error[start : start + QUOTE] for start in range(max(len(error) - QUOTE + 1, 1)))
    return "an error that quotes the text" if any(each in text for each in stretches if each) else error
