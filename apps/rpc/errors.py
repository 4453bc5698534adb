"""The exceptions that gRPC calls raise."""

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
    """A call failed. `code` is its gRPC status, or None if the call was not made."""

    def __init__(self, message: str, *, code: grpc.StatusCode | None = None) -> None:
        super().__init__(message)
        self.code = code


class TransientRpcError(RpcError):
    """A failure that may pass: the server is unavailable, slow or busy."""


class CircuitOpenError(TransientRpcError):
    """The call was not made, since too many have failed recently."""


class PermanentRpcError(RpcError):
    """A failure that will not pass: the request or the credentials are wrong."""


def translate(error: grpc.RpcError, *, call: str) -> RpcError:
    """The RpcError for what grpc raised. `call` describes the call in the message."""
    call_error: Any = error  # stubs raise an RpcError that is a Call, too; the two classes share no base
    code: grpc.StatusCode | None = call_error.code() if hasattr(error, "code") else None
    details = (call_error.details() if hasattr(error, "details") else None) or str(error)
    kind = TransientRpcError if code in TRANSIENT_CODES else PermanentRpcError
    return kind(f"{call}: {code.name if code else 'no status'}: {details}", code=code)
