"""The circuit breaker of a client, against a real sidecar that goes and comes back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from django.core.exceptions import ImproperlyConfigured
from prometheus_client import REGISTRY, generate_latest

from apps.caching import sidecar
from apps.rpc import breakers
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


def test_five_failures_open_the_circuit_for_all_to_see_and_one_success_closes_it(client) -> None:
    for _ in range(4):
        with pytest.raises(TransientRpcError):
            call(client)
    assert breakers.open_breakers() == []
    with pytest.raises(TransientRpcError):
        call(client)
    [seen] = breakers.open_breakers()
    assert (seen.address, seen.process) == (client.address, "jobrec")
    assert "UNAVAILABLE" in seen.error
    sample = f'jobrec_circuit_breaker_open{{address="{client.address}",process="jobrec"}} 1.0'
    assert sample in generate_latest(REGISTRY).decode()
    with pytest.raises(CircuitOpenError, match="5 calls failed in a row"):
        call(client)

    running = sidecar.start(client.address)
    try:
        with pytest.raises(CircuitOpenError):
            call(client)  # not called, although it would succeed: only after a while
        wait_until(lambda: is_serving(client.address), "the sidecar serves")
        client.breaker._opened -= 10
        call(client)
        assert breakers.open_breakers() == []
        assert client.breaker.closed
    finally:
        running.stop()


@pytest.fixture
def authority(tmp_path: Path, settings: Any) -> trustme.CA:
    """Mutual TLS is configured, with a certificate for this machine."""
    made = trustme.CA()
    issued = made.issue_cert("127.0.0.1")
    made.cert_pem.write_to_path(tmp_path / "ca")
    issued.private_key_pem.write_to_path(tmp_path / "key")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "certificate")
    settings.RPC_TLS_CA = str(tmp_path / "ca")
    settings.RPC_TLS_KEY = str(tmp_path / "key")
    settings.RPC_TLS_CERTIFICATE = str(tmp_path / "certificate")
    return made


def test_with_mutual_tls_only_who_has_a_certificate_is_served(
    authority: trustme.CA, client, settings: Any, tmp_path: Path
) -> None:
    running = sidecar.start(client.address)
    try:
        call(client)
        assert is_serving(client.address)
        # Of another authority, and none at all.
        stranger = trustme.CA().issue_cert("127.0.0.1")
        stranger.private_key_pem.write_to_path(tmp_path / "key")
        stranger.cert_chain_pems[0].write_to_path(tmp_path / "certificate")
        assert not is_serving(client.address)
        settings.RPC_TLS_CA = settings.RPC_TLS_KEY = settings.RPC_TLS_CERTIFICATE = ""
        assert not is_serving(client.address)
    finally:
        running.stop()


def test_files_of_tls_that_are_not_there_are_named(authority: trustme.CA, client, settings: Any) -> None:
    settings.RPC_TLS_KEY = "/nowhere/key"
    with pytest.raises(ImproperlyConfigured, match="/nowhere/key cannot be read: No such file"):
        sidecar.start(client.address)
    settings.RPC_TLS_KEY = ""
    with pytest.raises(ImproperlyConfigured, match="must be set together"):
        sidecar.start(client.address)


def test_a_wrong_request_opens_nothing(client) -> None:
    running = sidecar.start(client.address)
    try:
        for _ in range(6):
            with pytest.raises(PermanentRpcError, match="namespaces: at least one is needed"):
                client.call(lambda stub: stub.Invalidate, invalidation_pb2.InvalidateRequest(), deadline=2)
        assert client.breaker.closed
    finally:
        running.stop()
