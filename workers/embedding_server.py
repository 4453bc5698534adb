"""The embedding gRPC server: vectors for text that a person typed and waits for. It only translates."""

import logging
import time

import grpc
from django.db import DatabaseError, close_old_connections

from apps.embeddings.models import EmbeddingModel
from apps.rpc.server import RunningServer, start_server
from proto import embedding_pb2, embedding_pb2_grpc
from workers.chunks import version_of
from workers.encoding.encoder import Encoder
from workers.encoding.errors import ModelLoadError, TransientEncoderError
from workers.encoding.loaded import encoder_of, hardware, loaded_encoders

logger = logging.getLogger(__name__)

SERVICE = embedding_pb2.DESCRIPTOR.services_by_name["EmbeddingService"].full_name
MAX_TEXTS = 256
WAITING_CALLS = 128


class EmbeddingServicer(embedding_pb2_grpc.EmbeddingServiceServicer):
    def __init__(self) -> None:
        self._revisions: dict[tuple[str, str], Encoder] = {}

    def Info(  # noqa: N802  named by the .proto
        self, request: embedding_pb2.InfoRequest, context: grpc.ServicerContext
    ) -> embedding_pb2.InfoResponse:
        machine = hardware()
        loaded = loaded_encoders()
        order = sorted(
            self._revisions.items(), key=lambda item: loaded.index(item[1]) if item[1] in loaded else 99
        )
        return embedding_pb2.InfoResponse(
            models=[
                _version(name, revision, encoder) for (name, revision), encoder in order if encoder in loaded
            ],
            device=machine.device,
            dtype=str(machine.dtype).removeprefix("torch."),
            max_texts=MAX_TEXTS,
        )

    def Embed(  # noqa: N802  named by the .proto
        self, request: embedding_pb2.EmbedRequest, context: grpc.ServicerContext
    ) -> embedding_pb2.EmbedResponse:
        _check(request, context)
        encoder = self._encoder(request.model, context)
        remaining = context.time_remaining()
        if remaining is not None and remaining <= 0:
            context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline passed while the call waited")
        try:
            vectors = encoder.encode(list(request.texts), role="query")
        except TransientEncoderError as error:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        return embedding_pb2.EmbedResponse(
            model=_version(request.model.name, request.model.revision, encoder),
            vectors=vectors.astype("<f4").tobytes(),
        )

    def _encoder(self, wanted: embedding_pb2.ModelVersion, context: grpc.ServicerContext) -> Encoder:
        """The encoder of a registered model, loaded at its first use."""
        key = (wanted.name, wanted.revision)
        if key not in self._revisions or self._revisions[key] not in loaded_encoders():
            try:
                close_old_connections()  # gRPC's threads outlive any one connection
                model = EmbeddingModel.objects.filter(name=wanted.name, revision=wanted.revision).first()
                if model is None:
                    context.abort(
                        grpc.StatusCode.NOT_FOUND, f"no model {wanted.name}@{wanted.revision} is registered"
                    )
                self._revisions[key] = encoder_of(version_of(model))
            except DatabaseError as error:
                context.abort(grpc.StatusCode.UNAVAILABLE, f"the model registry cannot be read: {error}")
            except ModelLoadError as error:
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        return self._revisions[key]

    def warm_up(self) -> None:
        """Loads the active model and encodes once, so that the first person does not wait for it."""
        model = EmbeddingModel.objects.active() or EmbeddingModel.objects.filled().first()
        if model is None:
            return
        started = time.monotonic()
        encoder = self._revisions[(model.name, model.revision)] = encoder_of(version_of(model))
        encoder.encode(["warm-up"], role="query")
        logger.info("%s is loaded and warm after %.1f s", model, time.monotonic() - started)


def _check(request: embedding_pb2.EmbedRequest, context: grpc.ServicerContext) -> None:
    if not request.texts:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "texts: at least one is needed")
    if len(request.texts) > MAX_TEXTS:
        context.abort(
            grpc.StatusCode.INVALID_ARGUMENT, f"texts: {len(request.texts)} are too many, at most {MAX_TEXTS}"
        )
    for index, text in enumerate(request.texts):
        if not text.strip():
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"texts[{index}]: is empty")


def _version(name: str, revision: str, encoder: Encoder) -> embedding_pb2.ModelVersion:
    return embedding_pb2.ModelVersion(name=name, revision=revision, dimensions=encoder.version.dimensions)


def start(address: str) -> RunningServer:
    """Starts the server on `address` with the active model loaded. Raises RuntimeError where it is taken."""
    servicer = EmbeddingServicer()
    servicer.warm_up()

    def register(server: grpc.Server) -> None:
        embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server(servicer, server)

    return start_server(SERVICE, register, address=address, threads=hardware().slots + 1, queue=WAITING_CALLS)
