"""The invalidation sidecar: a small gRPC server in the web tier. It translates calls into Redis commands."""

import logging

import grpc

from apps.caching import generations, tags, warming_ahead
from apps.caching.generations import RunIdReusedError
from apps.caching.shared import CacheUnavailableError
from apps.rpc.server import RunningServer, start_server
from apps.safe_text import escaped
from proto import invalidation_pb2, invalidation_pb2_grpc

logger = logging.getLogger(__name__)

SERVICE = invalidation_pb2.DESCRIPTOR.services_by_name["CacheInvalidation"].full_name
THREADS = 4
MAX_WAITING = 64  # calls that wait for a thread
MAX_RUN_ID_CHARACTERS = 200  # it becomes part of a key in Redis
MAX_REASON_CHARACTERS = 1_000  # of one line in the log
MAX_SHOWN_CHARACTERS = 40  # of a wrong value that a message repeats
RUN_ID_REUSED = (
    "run_id: it came with other namespaces or ids in the last 24 hours, so nothing was done. "
    "Give each change its own run_id."
)


class CacheInvalidationServicer(invalidation_pb2_grpc.CacheInvalidationServicer):
    """The calls of proto/jobrec/cache/v1/invalidation.proto."""

    def Invalidate(  # noqa: N802  named by the .proto
        self, request: invalidation_pb2.InvalidateRequest, context: grpc.ServicerContext
    ) -> invalidation_pb2.InvalidateResponse:
        """Increment the generations of the request's tags."""
        _check_length("run_id", request.run_id, MAX_RUN_ID_CHARACTERS, context)
        _check_length("reason", request.reason, MAX_REASON_CHARACTERS, context)
        changed = _changed_tags(request, context)
        try:
            incremented, reached = generations.increment_tags(changed, run_id=request.run_id)
        except CacheUnavailableError as error:
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        except RunIdReusedError:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, RUN_ID_REUSED)
        logger.info(
            "Invalidated %s (%d ids), run %s, %d processes reached: %s",
            sorted(set(request.namespaces)),
            len(request.ids),
            escaped(request.run_id) or "-",
            reached,
            escaped(request.reason) or "no reason given",
        )
        return invalidation_pb2.InvalidateResponse(
            generations={name: incremented[name] for name in request.namespaces}, processes_reached=reached
        )

    def WarmAhead(  # noqa: N802  named by the .proto
        self, request: invalidation_pb2.WarmAheadRequest, context: grpc.ServicerContext
    ) -> invalidation_pb2.WarmAheadResponse:
        """Ask the cache warmers to work ahead of an invalidation."""
        if not request.run_id:
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, "run_id is empty: it identifies the Invalidate that follows"
            )
        _check_length("run_id", request.run_id, MAX_RUN_ID_CHARACTERS, context)
        changed = _changed_tags(request, context)
        try:
            wait = warming_ahead.request(changed, run_id=request.run_id)
        except CacheUnavailableError as error:
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        except RunIdReusedError:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, RUN_ID_REUSED)
        return invalidation_pb2.WarmAheadResponse(wait_seconds=wait)


def _check_length(name: str, text: str, maximum: int, context: grpc.ServicerContext) -> None:
    if len(text) > maximum:
        context.abort(
            grpc.StatusCode.INVALID_ARGUMENT,
            f"{name}: {len(text):,} characters are too many, at most {maximum:,}",
        )


def _changed_tags(
    request: invalidation_pb2.InvalidateRequest | invalidation_pb2.WarmAheadRequest,
    context: grpc.ServicerContext,
) -> list[str]:
    if not request.namespaces:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "namespaces is empty: name at least one")
    unknown = set(request.namespaces) - tags.NAMESPACES
    if unknown:
        context.abort(
            grpc.StatusCode.INVALID_ARGUMENT,
            f"namespaces: {escaped(min(unknown)[:MAX_SHOWN_CHARACTERS])!r} is unknown, "
            f"use {', '.join(sorted(tags.NAMESPACES))}",
        )
    return tags.changed(request.namespaces, request.ids)


def start(address: str) -> RunningServer:
    """Start the sidecar on `address` (`host:port`). Raises RuntimeError if the port is taken."""

    def register(server: grpc.aio.Server) -> None:
        invalidation_pb2_grpc.add_CacheInvalidationServicer_to_server(CacheInvalidationServicer(), server)

    return start_server(SERVICE, register, address=address, calls=THREADS + MAX_WAITING, threads=THREADS)
