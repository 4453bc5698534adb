"""The invalidation sidecar: a small gRPC server in the web tier. It only translates; Redis decides."""

import logging

import grpc

from apps.caching import generations, tags
from apps.caching.preparing import prepare
from apps.caching.shared import CacheUnavailableError
from apps.rpc.server import RunningServer, start_server
from proto import invalidation_pb2, invalidation_pb2_grpc

logger = logging.getLogger(__name__)

SERVICE = invalidation_pb2.DESCRIPTOR.services_by_name["CacheInvalidation"].full_name
THREADS = 4
WAITING = 64  # calls, beside those in the threads


class CacheInvalidationServicer(invalidation_pb2_grpc.CacheInvalidationServicer):
    def Invalidate(  # noqa: N802  named by the .proto
        self, request: invalidation_pb2.InvalidateRequest, context: grpc.ServicerContext
    ) -> invalidation_pb2.InvalidateResponse:
        changed = _changed(request, context)
        try:
            raised, reached = generations.raise_tags(changed, run_id=request.run_id)
        except CacheUnavailableError as error:
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        logger.info(
            "invalidated %s (%d ids), run %s, reached %d: %s",
            list(request.namespaces),
            len(request.ids),
            request.run_id or "-",
            reached,
            request.reason or "no reason given",
        )
        return invalidation_pb2.InvalidateResponse(
            generations={name: raised[name] for name in request.namespaces}, processes_reached=reached
        )

    def Prepare(  # noqa: N802  named by the .proto
        self, request: invalidation_pb2.PrepareRequest, context: grpc.ServicerContext
    ) -> invalidation_pb2.PrepareResponse:
        if not request.run_id:
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, "run_id: it names the Invalidate that will follow"
            )
        changed = _changed(request, context)
        try:
            return invalidation_pb2.PrepareResponse(preparing=prepare(changed, run_id=request.run_id))
        except CacheUnavailableError as error:
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error))


def _changed(
    request: invalidation_pb2.InvalidateRequest | invalidation_pb2.PrepareRequest,
    context: grpc.ServicerContext,
) -> list[str]:
    if not request.namespaces:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "namespaces: at least one is needed")
    try:
        return tags.changed(request.namespaces, request.ids)
    except ValueError as error:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"namespaces: {error}")


def start(address: str) -> RunningServer:
    """Starts the sidecar on `address` (`host:port`). Raises RuntimeError where it is taken."""

    def register(server: grpc.aio.Server) -> None:
        invalidation_pb2_grpc.add_CacheInvalidationServicer_to_server(CacheInvalidationServicer(), server)

    return start_server(SERVICE, register, address=address, calls=THREADS + WAITING, threads=THREADS)
