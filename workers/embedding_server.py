"""The embedding gRPC server: vectors for text that a person typed and waits for, and in bulk. It only translates."""

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
from workers.served_models import Served, ServedModels, UnknownModelError
from workers.streaming import OrderedStream, StreamDrainedError, result_of

logger = logging.getLogger(__name__)

SERVICE = embedding_pb2.DESCRIPTOR.services_by_name["EmbeddingService"].full_name
MAX_TEXTS = 256
# With the largest vectors that can be indexed (4,000 dimensions of 4 bytes) an answer stays below the message limit.
MAX_CHUNK_TEXTS = 4096
CHUNKS_AHEAD = 2  # of each stream: one is being encoded, the next is there when it is done
SPARE_CALLS = 16  # for health, reflection and Info while every other call is taken

Context = grpc.aio.ServicerContext[Any, Any]
Stream = OrderedStream[embedding_pb2.EmbedStreamRequest, Outcomes, embedding_pb2.EmbedStreamResponse]
FORMATS = {
    embedding_pb2.VECTOR_FORMAT_UNSPECIFIED: "<f4",
    embedding_pb2.VECTOR_FORMAT_FLOAT32: "<f4",
    embedding_pb2.VECTOR_FORMAT_FLOAT16: "<f2",
}


class InvalidRequestError(Exception):
    """The request can never be answered; the message names the field and what would be right."""


class VersionMismatchError(Exception):
    """The model has other dimensions than the caller says."""


class TooManyStreamsError(Exception):
    """As many streams as may are open."""


# The first class that fits an error decides its status.
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
    """Ends the call with the status of an error that is foreseen; any other is left to gRPC.

    Where the encoder cannot encode anything any more, this process ends as by SIGTERM: only a new one can help.
    """
    try:
        yield
    except asyncio.CancelledError:  # the deadline has passed, or the caller has gone
        embedding_metrics.REFUSED.labels(method, grpc.StatusCode.CANCELLED.name).inc()
        raise
    except tuple(kind for kind, _ in STATUSES) as error:
        code = next(code for kind, code in STATUSES if isinstance(error, kind))
        embedding_metrics.REFUSED.labels(method, code.name).inc()
        if isinstance(error, EncoderBrokenError):
            logger.error("this server ends, to be started afresh: %s", error)  # noqa: TRY400  the message says all
            os.kill(os.getpid(), signal.SIGTERM)
        await context.abort(code, str(error))


class EmbeddingServicer(embedding_pb2_grpc.EmbeddingServiceServicer):
    """Its methods run in the server's event loop; a call that waits holds no thread."""

    def __init__(self) -> None:
        self.models = ServedModels(on_batch=embedding_metrics.observe, deliver=self._deliver)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._streams: set[Stream] = set()
        self._draining = False

    def attend(self) -> None:
        """Has the outcomes of a batch delivered in the event loop that runs, which wakes once for all of them."""
        self._loop = asyncio.get_running_loop()

    def _deliver(self, resolve: Callable[[], None]) -> None:
        if self._loop is None:
            resolve()
        else:
            self._loop.call_soon_threadsafe(resolve)

    async def Info(  # noqa: N802  named by the .proto
        self, request: embedding_pb2.InfoRequest, context: Context
    ) -> embedding_pb2.InfoResponse:
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
        stream: Stream = OrderedStream(
            request_iterator, begin=self._begin, finish=self._finish, ahead=CHUNKS_AHEAD
        )
        async with statuses(context, "EmbedStream"):
            if len(self._streams) >= settings.EMBED_STREAMS:
                raise TooManyStreamsError(
                    f"{settings.EMBED_STREAMS} streams are open, which is as many as may be"
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
        """Ends the streams after the chunks that were begun: they would outlive any grace. Whether there were any.

        Returns when they have ended, and after `seconds` at the latest.
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

    async def _served(self, wanted: embedding_pb2.ModelVersion) -> Served:
        served = self.models.in_memory(wanted.name, wanted.revision)
        if served is None:
            served = await asyncio.to_thread(self.models.find, wanted.name, wanted.revision)
        if wanted.dimensions not in (0, served.dimensions):
            raise VersionMismatchError(
                f"model.dimensions: {wanted.name}@{wanted.revision} has {served.dimensions}, not {wanted.dimensions}"
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
        request.model.dimensions = served.dimensions  # as the answer says it
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


def _version(served: Served) -> embedding_pb2.ModelVersion:
    return embedding_pb2.ModelVersion(
        name=served.name, revision=served.revision, dimensions=served.dimensions
    )


def start(address: str) -> RunningServer:
    """Starts the server on `address` with the active model loaded. Raises RuntimeError where it is taken."""
    servicer = EmbeddingServicer()
    servicer.models.warm_up()
    servicer.models.keep_warm()
    embedding_metrics.expose()

    def register(server: grpc.aio.Server) -> None:
        servicer.attend()
        embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server(servicer, server)

    # Enough calls for every text that may wait or be in a batch, so that an overload is refused by the batcher, which
    # knows how long the queue is, and health is always answered.
    in_batches = hardware().slots * settings.EMBED_BATCH_TEXTS
    calls = settings.EMBED_QUEUE_TEXTS + in_batches + settings.EMBED_STREAMS + SPARE_CALLS
    return start_server(SERVICE, register, address=address, calls=calls, drain=servicer.drain)
