"""The gRPC client against a real sidecar: circuit breaker, mutual TLS, errors."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from django.core.exceptions import ImproperlyConfigured
from prometheus_client import REGISTRY

from apps.caching import sidecar
from apps.rpc.client import Client, is_serving
from apps.rpc.errors import CircuitOpenError, PermanentRpcError, TransientRpcError
from jobrec_site.local.preflight import free_ports
from proto import invalidation_pb2, invalidation_pb2_grpc
from tests.stack import wait_until

pytestmark = pytest.mark.usefixtures("clean_cache")

REQUEST = invalidation_pb2.InvalidateRequest(namespaces=["skills"])


@pytest.fixture
def client() -> Iterator[Client[invalidation_pb2_grpc.CacheInvalidationStub]]:
    client = Client(f"127.0.0.1:{free_ports().invalidation}", invalidation_pb2_grpc.CacheInvalidationStub)
    yield client
    client.close()


def call(client: Client[invalidation_pb2_grpc.CacheInvalidationStub]) -> None:
    client.call(lambda stub: stub.Invalidate, REQUEST, deadline=2)


def circuit_open(address: str) -> float | None:
    return REGISTRY.get_sample_value("jobrec_circuit_breaker_open", {"address": address})


def test_circuit_opens_after_five_failures_and_closes_after_one_success(client) -> None:
    for _ in range(4):
        with pytest.raises(TransientRpcError):
            call(client)
    assert circuit_open(client.address) == 0
    with pytest.raises(TransientRpcError, match="UNAVAILABLE"):
        call(client)
    assert circuit_open(client.address) == 1
    with pytest.raises(CircuitOpenError, match="5 calls failed in a row"):
        call(client)

    running = sidecar.start(client.address)
    try:
        with pytest.raises(CircuitOpenError):
            call(client)  # the call would succeed, but is not made before the recovery timeout
        wait_until(lambda: is_serving(client.address), "the sidecar serves")
        client.breaker._opened -= 10
        call(client)
        assert circuit_open(client.address) == 0
        assert client.breaker.closed
    finally:
        running.stop()


@pytest.fixture
def authority(tmp_path: Path, settings: Any) -> trustme.CA:
    """The authority of a mutual TLS that is configured with a certificate for this machine."""
    made = trustme.CA()
    issued = made.issue_cert("127.0.0.1")
    made.cert_pem.write_to_path(tmp_path / "ca")
    issued.private_key_pem.write_to_path(tmp_path / "key")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "certificate")
    settings.RPC_TLS_CA = str(tmp_path / "ca")
    settings.RPC_TLS_KEY = str(tmp_path / "key")
    settings.RPC_TLS_CERTIFICATE = str(tmp_path / "certificate")
    return made


def test_mutual_tls_serves_no_client_without_a_certificate_of_the_authority(
    authority: trustme.CA, client, settings: Any, tmp_path: Path
) -> None:
    running = sidecar.start(client.address)
    try:
        call(client)
        assert is_serving(client.address)
        # A certificate of another authority, then none at all.
        stranger = trustme.CA().issue_cert("127.0.0.1")
        stranger.private_key_pem.write_to_path(tmp_path / "key")
        stranger.cert_chain_pems[0].write_to_path(tmp_path / "certificate")
        assert not is_serving(client.address)
        settings.RPC_TLS_CA = settings.RPC_TLS_KEY = settings.RPC_TLS_CERTIFICATE = ""
        assert not is_serving(client.address)
    finally:
        running.stop()


def test_server_start_names_the_tls_file_that_is_missing(
    authority: trustme.CA, client, settings: Any
) -> None:
    settings.RPC_TLS_KEY = "/nowhere/key"
    with pytest.raises(ImproperlyConfigured, match="Cannot read /nowhere/key: No such file"):
        sidecar.start(client.address)
    settings.RPC_TLS_KEY = ""
    with pytest.raises(ImproperlyConfigured, match="must be set together"):
        sidecar.start(client.address)


def test_circuit_stays_closed_when_requests_are_invalid(client) -> None:
    running = sidecar.start(client.address)
    try:
        for _ in range(6):
            with pytest.raises(PermanentRpcError, match="name at least one"):
                client.call(lambda stub: stub.Invalidate, invalidation_pb2.InvalidateRequest(), deadline=2)
        assert client.breaker.closed
    finally:
        running.stop()
