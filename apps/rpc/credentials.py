"""Who may call: a shared token, mutual TLS, or nobody but this machine."""

from collections.abc import Awaitable, Callable
from hmac import compare_digest
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import grpc
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

HEALTH_CHECK = "/grpc.health.v1.Health/Check"  # Watch, a stream without an end, is a call as any other


def is_loopback(address: str) -> bool:
    """Whether `host:port` or `unix:path` can be reached from this machine only."""
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
        raise ImproperlyConfigured("RPC_TLS_CERTIFICATE, RPC_TLS_KEY and RPC_TLS_CA must be set together")
    try:
        certificate, key, ca = (Path(name).read_bytes() for name in names)
    except OSError as error:
        raise ImproperlyConfigured(f"RPC_TLS_…: {error.filename} cannot be read: {error.strerror}") from error
    return certificate, key, ca


def check_protected(address: str) -> None:
    """Raises ImproperlyConfigured where others can reach `address` while neither token nor TLS is set."""
    if not _tls_files() and not settings.RPC_TOKEN and not is_loopback(address):
        raise ImproperlyConfigured(
            f"{address} can be reached from other machines: set RPC_TOKEN, or the three RPC_TLS_… files"
        )


def bind(server: grpc.aio.Server, address: str) -> int:
    """Opens `address` with mutual TLS where it is configured; returns the port. Raises as `check_protected`."""
    check_protected(address)
    tls = _tls_files()
    if tls:
        certificate, key, ca = tls
        credentials = grpc.ssl_server_credentials([(key, certificate)], ca, require_client_auth=True)
        try:
            return server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise ImproperlyConfigured(
                f"cannot listen on {address}: is it taken, or do RPC_TLS_CERTIFICATE, RPC_TLS_KEY and RPC_TLS_CA not hold "
                f"a certificate, its key and a CA in PEM? ({error})"
            ) from error
    return server.add_insecure_port(address)


def open_channel(address: str, *, options: list[tuple[str, Any]]) -> grpc.Channel:
    tls = _tls_files()
    if tls:
        certificate, key, ca = tls
        credentials = grpc.ssl_channel_credentials(ca, key, certificate)
        return grpc.secure_channel(address, credentials, options=options)
    return grpc.insecure_channel(address, options=options)


def call_metadata() -> tuple[tuple[str, str | bytes], ...]:
    return bearer(settings.RPC_TOKEN)


def bearer(token: str) -> tuple[tuple[str, str | bytes], ...]:
    return (("authorization", f"Bearer {token}"),) if token else ()


class TokenInterceptor(grpc.aio.ServerInterceptor):
    """Answers UNAUTHENTICATED to a call without the shared token; health checks need none."""

    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token}"

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable["grpc.RpcMethodHandler[Any, Any] | None"]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        given = dict(handler_call_details.invocation_metadata or ()).get("authorization", "")
        if handler_call_details.method == HEALTH_CHECK or compare_digest(
            str(given).encode(), self._expected.encode()
        ):
            return await continuation(handler_call_details)
        return grpc.unary_unary_rpc_method_handler(_refuse)


async def _refuse(_request: object, context: "grpc.aio.ServicerContext[Any, Any]") -> None:
    await context.abort(
        grpc.StatusCode.UNAUTHENTICATED, "metadata `authorization: Bearer <RPC_TOKEN>` is missing or wrong"
    )
