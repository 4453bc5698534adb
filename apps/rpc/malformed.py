"""Requests that are no message of the expected type: INVALID_ARGUMENT instead of gRPC's traceback."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import wraps
from typing import Any, cast

import grpc
from google.protobuf.message import DecodeError

_MALFORMED = object()  # takes the place of a message that cannot be read
_STATUS = grpc.StatusCode.INVALID_ARGUMENT
_DETAILS = "The request is not a message of the type that this method takes."


class MalformedRequestInterceptor(grpc.aio.ServerInterceptor):
    """Answer bytes that are no message of the method's type with INVALID_ARGUMENT.

    gRPC itself would log a traceback and answer UNKNOWN, with the name of a class.
    """

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable["grpc.RpcMethodHandler[Any, Any] | None"]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Grpc's hook for every call."""
        handler: Any = await continuation(handler_call_details)
        if handler is None or handler.request_deserializer is None:
            return cast("grpc.RpcMethodHandler[Any, Any] | None", handler)
        streams = ("unary", "stream")
        kind = f"{streams[handler.request_streaming]}_{streams[handler.response_streaming]}"
        guard = _guarded_stream if handler.request_streaming else _guarded
        make: Any = getattr(grpc, f"{kind}_rpc_method_handler")
        made: grpc.RpcMethodHandler[Any, Any] = make(
            guard(getattr(handler, kind)),
            request_deserializer=_tolerant(handler.request_deserializer),
            response_serializer=handler.response_serializer,
        )
        return made


def _tolerant(read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def read_or_mark(data: bytes) -> Any:
        try:
            return read(data)
        except DecodeError:
            return _MALFORMED

    return read_or_mark


def _guarded(method: Any) -> Any:
    """The method of one request, of the same kind: gRPC treats coroutines and generators differently."""
    if inspect.isasyncgenfunction(method):

        @wraps(method)
        async def generate(request: Any, context: Any) -> AsyncIterator[Any]:
            if request is _MALFORMED:
                await context.abort(_STATUS, _DETAILS)
            async for response in method(request, context):
                yield response

        return generate
    if inspect.iscoroutinefunction(method):

        @wraps(method)
        async def respond(request: Any, context: Any) -> Any:
            if request is _MALFORMED:
                await context.abort(_STATUS, _DETAILS)
            return await method(request, context)

        return respond

    @wraps(method)
    def respond_in_thread(request: Any, context: Any) -> Any:
        if request is _MALFORMED:
            context.abort(_STATUS, _DETAILS)
        return method(request, context)

    return respond_in_thread


def _guarded_stream(method: Any) -> Any:
    """The method of a stream of requests, which ends with the first one that cannot be read."""

    async def readable(requests: Any, context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            if request is _MALFORMED:
                await context.abort(_STATUS, _DETAILS)
            yield request

    if inspect.isasyncgenfunction(method):

        @wraps(method)
        async def generate(requests: Any, context: Any) -> AsyncIterator[Any]:
            async for response in method(readable(requests, context), context):
                yield response

        return generate

    @wraps(method)
    async def respond(requests: Any, context: Any) -> Any:
        return await method(readable(requests, context), context)

    return respond
