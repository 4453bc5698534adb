"""An encoder that a test releases call by call, and helpers that call its server."""

import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import grpc
import numpy as np
import pytest

from proto import embedding_pb2
from workers.encoding.batcher import Batcher, Limits
from workers.encoding.encoder import Role
from workers.encoding.errors import TransientEncoderError
from workers.served_models import UnknownModelError

PATIENCE = 20  # seconds
MODEL = embedding_pb2.ModelVersion(name="m", revision="r")


class Encoder:
    """Records its calls and holds each until the test releases `gate`; a text's vector is [its length, 1]."""

    def __init__(self) -> None:
        self.calls: queue.Queue[list[str]] = queue.Queue()
        self.gate = threading.Semaphore(0)
        self.broken = False

    def encode(self, texts: Sequence[str], role: str) -> Any:
        """Return the vectors once the test releases the call. Fail for the texts `badtext` and `memory`."""
        self.calls.put(list(texts))
        assert self.gate.acquire(timeout=PATIENCE)
        if "badtext" in texts or self.broken:
            raise ValueError("cannot encode badtext")
        if "memory" in texts:
            raise TransientEncoderError("no memory for one window")
        return np.array([[len(text), 1] for text in texts], np.float32)


class Models:
    """Stands in for ServedModels: one loaded model of two dimensions."""

    def __init__(self, encoder: Encoder) -> None:
        self.batcher = Batcher(
            encoder.encode, slots=1, limits=Limits(texts=4, characters=1000, wait=0.01, queue=3)
        )
        self.name, self.revision, self.dimensions = "m", "r", 2

    def waiting(self, role: Role = "query") -> int:
        """Return the number of texts that wait in calls not yet cancelled."""
        lane = self.batcher._waiting[role]
        return sum(len(call.left) for call in list(lane) if not call.future.done())

    def in_memory(self, name: str, revision: str) -> "Models | None":
        """Return this model if it has the name and revision."""
        return self if (name, revision) == ("m", "r") else None

    def find(self, name: str, revision: str) -> "Models":
        """Return this model. Raise UnknownModelError for any other."""
        if served := self.in_memory(name, revision):
            return served
        raise UnknownModelError(f"no model {name}@{revision} is registered")


def embed(stub: Any, *texts: str, timeout: float = PATIENCE) -> Any:
    """Start a call of Embed; return its future."""
    return stub.Embed.future(embedding_pb2.EmbedRequest(texts=texts, model=MODEL), timeout=timeout)


def failure(call: Any) -> tuple[str, str]:
    """Return the (status, details) of a call that must fail."""
    with pytest.raises(grpc.RpcError) as error:
        call.result(PATIENCE) if hasattr(call, "result") else next(call)
    return error.value.code().name, error.value.details() or ""


def iter_queue(calls: "queue.Queue[list[str]]") -> Iterator[list[str]]:
    """Yield the calls recorded so far."""
    while not calls.empty():
        yield calls.get()
