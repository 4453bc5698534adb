"""What a caller of a gRPC service of jobrec has to handle."""

from typing import Any

import grpc

TRANSIENT_CODES = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
    }
)


class RpcError(Exception):
    """A call failed. `code` is the gRPC status, None where the call was never made."""

    def __init__(self, message: str, *, code: grpc.StatusCode | None = None) -> None:
        super().__init__(message)
        self.code = code


class TransientRpcError(RpcError):
    """The same call may succeed later: the server is gone, slow or busy."""


class CircuitOpenError(TransientRpcError):
    """Too many calls failed lately; this one was not made."""


class PermanentRpcError(RpcError):
    """The same call will fail again: the request or the credentials are wrong."""


def translate(error: grpc.RpcError, *, call: str) -> RpcError:
    """The domain error for what grpc raised from `call`."""
    call_error: Any = error  # what a stub raises is an RpcError and a Call, two classes that share no base
    code: grpc.StatusCode | None = call_error.code() if hasattr(error, "code") else None
    details = (call_error.details() if hasattr(error, "details") else None) or str(error)
    kind = TransientRpcError if code in TRANSIENT_CODES else PermanentRpcError
    return kind(f"{call}: {code.name if code else 'no status'}: {details}", code=code)
