"""The embedding gRPC server: vectors for search texts, and in bulk.

It translates between gRPC and the batchers of the models; the computing happens there.
"""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import grpc
import numpy as np
from django.conf import settings
from django.db import DatabaseError

from apps.rpc.server import RunningServer, start_server
from proto import embedding_pb2, embedding_pb2_grpc
from workers import embedding_metrics
from workers.encoding.batcher import Outcomes, QueueFullError
from workers.encoding.errors import EncoderBrokenError, EncoderError, ModelLoadError, TransientEncoderError
from workers.encoding.isolation import BadText
from workers.encoding.loaded import hardware
from workers.served_models import ServedModel, ServedModels, UnknownModelError
from workers.streaming import OrderedStream, StreamDrainedError, result_of

logger = logging.getLogger(__name__)

SERVICE = embedding_pb2.DESCRIPTOR.services_by_name["EmbeddingService"].full_name
MAX_TEXTS = 256
# An answer stays below the message limit even with the largest vectors that pgvector indexes: 4,000 × 4
# bytes.
MAX_CHUNK_TEXTS = 4096
MAX_CHUNKS_AHEAD = 2  # of each stream: one is being encoded, the next is ready when it is done
SPARE_CALLS = 16  # for health, reflection and Info while all other calls are taken

Context = grpc.aio.ServicerContext[Any, Any]
Stream = OrderedStream[embedding_pb2.EmbedStreamRequest, Outcomes, embedding_pb2.EmbedStreamResponse]
FORMATS = {
    embedding_pb2.VECTOR_FORMAT_UNSPECIFIED: "<f4",
    embedding_pb2.VECTOR_FORMAT_FLOAT32: "<f4",
    embedding_pb2.VECTOR_FORMAT_FLOAT16: "<f2",
}


class InvalidRequestError(Exception):
    """The request is invalid; the message names the field and what is allowed."""


class VersionMismatchError(Exception):
    """The model's number of dimensions differs from the one in the request."""


class TooManyStreamsError(Exception):
    """The maximum number of streams is open."""


# The first matching class decides the status.
STATUSES: tuple[tuple[type[BaseException], grpc.StatusCode], ...] = (
    (InvalidRequestError, grpc.StatusCode.INVALID_ARGUMENT),
    (UnknownModelError, grpc.StatusCode.NOT_FOUND),
    (ModelLoadError, grpc.StatusCode.FAILED_PRECONDITION),
    (VersionMismatchError, grpc.StatusCode.FAILED_PRECONDITION),
    (QueueFullError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (TooManyStreamsError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (TransientEncoderError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (EncoderError, grpc.StatusCode.UNAVAILABLE),
    (StreamDrainedError, grpc.StatusCode.UNAVAILABLE),
    (DatabaseError, grpc.StatusCode.UNAVAILABLE),
)


@asynccontextmanager
async def statuses(context: Context, method: str) -> AsyncIterator[None]:
    """Translate errors into gRPC statuses; other errors are left to gRPC.

    If the encoder is broken, the process also sends itself SIGTERM, because only a new process can help.
    """
    try:
        yield
    except asyncio.CancelledError:  # the deadline has passed, or the caller has cancelled
        embedding_metrics.REFUSED.labels(method, grpc.StatusCode.CANCELLED.name).inc()
        raise
    except tuple(kind for kind, _ in STATUSES) as error:
        code = next(code for kind, code in STATUSES if isinstance(error, kind))
        embedding_metrics.REFUSED.labels(method, code.name).inc()
        if isinstance(error, EncoderBrokenError):
            logger.error("the encoder is broken, this server ends: %s", error)  # noqa: TRY400  no traceback needed
            os.kill(os.getpid(), signal.SIGTERM)
        await context.abort(code, str(error))


class EmbeddingServicer(embedding_pb2_grpc.EmbeddingServiceServicer):
    """The gRPC service. Its methods run in the server's event loop; a waiting call holds no thread."""

    def __init__(self) -> None:
        self.models = ServedModels(on_batch=embedding_metrics.observe, deliver=self._deliver)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._streams: set[Stream] = set()
        self._draining = False

    def use_running_loop(self) -> None:
        """Deliver the outcomes of a batch in the running event loop, which then wakes once for all."""
        self._loop = asyncio.get_running_loop()

    def _deliver(self, resolve: Callable[[], None]) -> None:
        if self._loop is None:
            resolve()
        else:
            self._loop.call_soon_threadsafe(resolve)

    async def Info(  # noqa: N802  named by the .proto
        self, request: embedding_pb2.InfoRequest, context: Context
    ) -> embedding_pb2.InfoResponse:
        """Return the loaded models, the device and the limits."""
        machine = hardware()
        return embedding_pb2.InfoResponse(
            models=[_version(served) for served in self.models.loaded()],
            device=machine.device,
            dtype=str(machine.dtype).removeprefix("torch."),
            max_texts=MAX_TEXTS,
            max_chunk_texts=MAX_CHUNK_TEXTS,
        )

    async def Embed(  # noqa: N802  named by the .proto
        self, request: embedding_pb2.EmbedRequest, context: Context
    ) -> embedding_pb2.EmbedResponse:
        """Return the vectors of a few texts that somebody waits for."""
        with embedding_metrics.EMBED_SECONDS.time():
            async with statuses(context, "Embed"):
                _check(request)
                served = await self._served(request.model)
                outcomes = await result_of(served.batcher.submit(request.texts, role="query"))
                for index, outcome in enumerate(outcomes):
                    if isinstance(outcome, BadText):
                        raise InvalidRequestError(f"texts[{index}]: cannot be encoded: {outcome.error}")
                vectors = np.asarray(outcomes, "<f4")
        return embedding_pb2.EmbedResponse(model=_version(served), vectors=vectors.tobytes())

    async def EmbedStream(  # type: ignore[override]  # noqa: N802  named by the .proto; writes, and yields nothing
        self, request_iterator: AsyncIterator[embedding_pb2.EmbedStreamRequest], context: Context
    ) -> None:
        """Answer a stream of chunks with their vectors, in order."""
        stream: Stream = OrderedStream(
            request_iterator, begin=self._begin, finish=self._finish, ahead=MAX_CHUNKS_AHEAD
        )
        async with statuses(context, "EmbedStream"):
            if len(self._streams) >= settings.EMBED_STREAMS:
                raise TooManyStreamsError(
                    f"{settings.EMBED_STREAMS} streams are open, which is the maximum (EMBED_STREAMS)"
                )
            self._streams.add(stream)
            try:
                if self._draining:
                    await stream.drain()
                async with aclosing(stream.answers()) as answers:
                    async for answer in answers:
                        await context.write(answer)
            finally:
                self._streams.discard(stream)

    async def drain(self, seconds: float) -> bool:
        """End the streams after the chunks that were begun; return whether there were any streams.

        It returns when they have ended, after `seconds` at the latest. A stream would outlive any grace
        period.
        """
        self._draining = True
        streams = set(self._streams)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                for stream in streams:
                    await stream.drain()
                while self._streams & streams:
                    await asyncio.sleep(0.02)
        return bool(streams)

    async def _served(self, wanted: embedding_pb2.ModelVersion) -> ServedModel:
        served = self.models.in_memory(wanted.name, wanted.revision)
        if served is None:
            served = await asyncio.to_thread(self.models.find, wanted.name, wanted.revision)
        if wanted.dimensions not in (0, served.dimensions):
            raise VersionMismatchError(
                f"model.dimensions: {wanted.name}@{wanted.revision} has {served.dimensions}, "
                f"not {wanted.dimensions}"
            )
        return served

    async def _begin(self, request: embedding_pb2.EmbedStreamRequest) -> "Future[Outcomes]":
        if len(request.inputs) > MAX_CHUNK_TEXTS:
            raise InvalidRequestError(
                f"inputs: {len(request.inputs)} are too many, at most {MAX_CHUNK_TEXTS}"
            )
        if request.format not in FORMATS:
            raise InvalidRequestError(f"format: {request.format} is not known")
        texts = [each.text for each in request.inputs if each.text.strip()]
        served = await self._served(request.model)
        request.model.dimensions = served.dimensions  # the answer repeats the model
        return served.batcher.submit(texts, role="document")

    @staticmethod
    def _finish(
        request: embedding_pb2.EmbedStreamRequest, outcomes: Outcomes
    ) -> embedding_pb2.EmbedStreamResponse:
        encoded = iter(outcomes)
        return embedding_pb2.EmbedStreamResponse(
            chunk=request.chunk,
            model=request.model,
            format=request.format or embedding_pb2.VECTOR_FORMAT_FLOAT32,
            outputs=[
                _output(each.key, next(encoded), FORMATS[request.format])
                if each.text.strip()
                else embedding_pb2.Output(key=each.key, error="the text is empty")
                for each in request.inputs
            ],
        )


def _output(key: bytes, outcome: "np.ndarray | BadText", dtype: str) -> embedding_pb2.Output:
    if isinstance(outcome, BadText):
        return embedding_pb2.Output(key=key, error=f"cannot be encoded: {outcome.error}")
    return embedding_pb2.Output(key=key, vector=outcome.astype(dtype).tobytes())


def _check(request: embedding_pb2.EmbedRequest) -> None:
    if not request.texts:
        raise InvalidRequestError("texts: at least one is needed")
    if len(request.texts) > MAX_TEXTS:
        raise InvalidRequestError(f"texts: {len(request.texts)} are too many, at most {MAX_TEXTS}")
    for index, text in enumerate(request.texts):
        if not text.strip():
            raise InvalidRequestError(f"texts[{index}]: is empty")


def _version(served: ServedModel) -> embedding_pb2.ModelVersion:
    return embedding_pb2.ModelVersion(
        name=served.name, revision=served.revision, dimensions=served.dimensions
    )


def start(address: str) -> RunningServer:
    """Load the active model and start the server. Raises RuntimeError if it cannot listen on `address`."""
    servicer = EmbeddingServicer()
    servicer.models.warm_up()
    servicer.models.keep_warm()
    embedding_metrics.expose()

    def register(server: grpc.aio.Server) -> None:
        servicer.use_running_loop()
        embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server(servicer, server)

    # Enough calls for all texts that may wait or be in a batch: the batcher refuses an overload and names the
    # length of the queue, and health checks are always answered.
    in_batches = hardware().slots * settings.EMBED_BATCH_TEXTS
    calls = settings.EMBED_QUEUE_TEXTS + in_batches + settings.EMBED_STREAMS + SPARE_CALLS
    return start_server(SERVICE, register, address=address, calls=calls, drain=servicer.drain)
