"""Authentication of gRPC calls: a shared token, mutual TLS, or neither for addresses of this machine only."""

from collections.abc import Awaitable, Callable
from hmac import compare_digest
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import grpc
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

HEALTH_CHECK = "/grpc.health.v1.Health/Check"  # Watch is a stream without end, so it needs a token


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach `host:port` or `unix:path`."""
    if address.startswith("unix:"):
        return True
    host = address.rsplit(":", 1)[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _tls_files() -> tuple[bytes, bytes, bytes] | None:
    names = (settings.RPC_TLS_CERTIFICATE, settings.RPC_TLS_KEY, settings.RPC_TLS_CA)
    if not any(names):
        return None
    if not all(names):
        raise ImproperlyConfigured(
            "TLS is incomplete: RPC_TLS_CERTIFICATE, RPC_TLS_KEY and RPC_TLS_CA must be set together"
        )
    try:
        certificate, key, ca = (Path(name).read_bytes() for name in names)
    except OSError as error:
        raise ImproperlyConfigured(
            f"Cannot read {error.filename}: {error.strerror}. Check the three RPC_TLS_… settings."
        ) from error
    return certificate, key, ca


def check_protected(address: str) -> None:
    """Raise ImproperlyConfigured if other machines can reach `address` and neither token nor TLS is set."""
    if not _tls_files() and not settings.RPC_TOKEN and not is_loopback(address):
        raise ImproperlyConfigured(
            f"{address} is open to other machines: set RPC_TOKEN, or the three RPC_TLS_… files"
        )


def bind(server: grpc.aio.Server, address: str) -> int:
    """Bind `server` to `address`, with mutual TLS if it is configured, and return the port.

    Raises ImproperlyConfigured, as `check_protected` does, or RuntimeError if the port is taken.
    """
    check_protected(address)
    tls = _tls_files()
    if tls:
        certificate, key, ca = tls
        credentials = grpc.ssl_server_credentials([(key, certificate)], ca, require_client_auth=True)
        try:
            return server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise ImproperlyConfigured(
                f"Cannot listen on {address}: {error}. Is the port taken? Otherwise check that "
                "RPC_TLS_CERTIFICATE, RPC_TLS_KEY and RPC_TLS_CA are a certificate, its key and a CA in PEM."
            ) from error
    return server.add_insecure_port(address)


def open_channel(address: str, *, options: list[tuple[str, Any]]) -> grpc.Channel:
    """Open a channel to `address`, with mutual TLS if it is configured."""
    tls = _tls_files()
    if tls:
        certificate, key, ca = tls
        credentials = grpc.ssl_channel_credentials(ca, key, certificate)
        return grpc.secure_channel(address, credentials, options=options)
    return grpc.insecure_channel(address, options=options)


def call_metadata() -> tuple[tuple[str, str | bytes], ...]:
    """The metadata of every call: RPC_TOKEN as a bearer token."""
    return bearer(settings.RPC_TOKEN)


def bearer(token: str) -> tuple[tuple[str, str | bytes], ...]:
    """The metadata of a bearer token; none if `token` is empty."""
    return (("authorization", f"Bearer {token}"),) if token else ()


class TokenInterceptor(grpc.aio.ServerInterceptor):
    """Reject calls without the shared token as UNAUTHENTICATED, except health checks."""

    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token}"

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable["grpc.RpcMethodHandler[Any, Any] | None"]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Grpc's hook for every call."""
        given = dict(handler_call_details.invocation_metadata or ()).get("authorization", "")
        if handler_call_details.method == HEALTH_CHECK or compare_digest(
            str(given).encode(), self._expected.encode()
        ):
            return await continuation(handler_call_details)
        return grpc.unary_unary_rpc_method_handler(_refuse)


async def _refuse(_request: object, context: "grpc.aio.ServicerContext[Any, Any]") -> None:
    await context.abort(
        grpc.StatusCode.UNAUTHENTICATED,
        "The token is missing or wrong: send metadata `authorization: Bearer <RPC_TOKEN>`.",
    )
