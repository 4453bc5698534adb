"""What a hostile or careless caller sends to the gRPC servers."""

import logging
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from apps.caching import generations, sidecar
from jobrec_site.local.preflight import free_ports
from proto import invalidation_pb2, invalidation_pb2_grpc

pytestmark = pytest.mark.usefixtures("clean_cache")

INVALIDATE = f"/{sidecar.SERVICE}/Invalidate"
NO_MESSAGE = b"\xff\xff\xff\xff no message"
FORGED = "a\n2026-11-28 00:00:00,000 ERROR fake: injected\u202e"


@pytest.fixture(scope="module")
def channel(servers: Any) -> Iterator[grpc.Channel]:
    """A channel to a sidecar."""
    address = f"127.0.0.1:{free_ports().invalidation}"
    running = sidecar.start(address)
    with grpc.insecure_channel(address) as opened:
        yield opened
    running.stop()


@pytest.fixture
def stub(channel: grpc.Channel) -> invalidation_pb2_grpc.CacheInvalidationStub:
    """The calls of the sidecar."""
    return invalidation_pb2_grpc.CacheInvalidationStub(channel)


def invalidate(stub: invalidation_pb2_grpc.CacheInvalidationStub, *namespaces: str, **more: Any) -> Any:
    """Call Invalidate."""
    return stub.Invalidate(
        invalidation_pb2.InvalidateRequest(namespaces=namespaces, **more), timeout=10
    ).generations


def status_of(error: "pytest.ExceptionInfo[grpc.RpcError]") -> tuple[str, str]:
    """Code and details of a failed call."""
    call: Any = error.value
    return call.code().name, call.details()


@pytest.mark.parametrize(
    "method",
    [
        INVALIDATE,
        f"/{sidecar.SERVICE}/WarmAhead",
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ],
)
def test_bytes_that_are_no_message_are_an_invalid_argument(
    channel: grpc.Channel, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    call: Any = channel.stream_stream(method)
    with pytest.raises(grpc.RpcError) as error:
        list(call(iter([NO_MESSAGE]), timeout=10))
    code, details = status_of(error)
    assert code == "INVALID_ARGUMENT"
    assert "DecodeError" not in details + caplog.text
    assert "Traceback" not in caplog.text


def test_reason_and_run_id_are_one_line_of_the_log(
    stub: invalidation_pb2_grpc.CacheInvalidationStub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    invalidate(stub, "skills", reason=FORGED, run_id=FORGED)
    [record] = [each for each in caplog.records if each.name == "apps.caching.sidecar"]
    assert record.getMessage().isprintable()
    assert record.getMessage().count(r"a\n2026-11-28 00:00:00,000 ERROR fake: injected\u202e") == 2


@pytest.mark.parametrize("field", ["reason", "run_id"])
def test_too_long_texts_are_an_invalid_argument(
    stub: invalidation_pb2_grpc.CacheInvalidationStub, field: str
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        invalidate(stub, "skills", **{field: "x" * 5_000_000})
    code, details = status_of(error)
    assert code == "INVALID_ARGUMENT"
    assert details.startswith(f"{field}: 5,000,000 characters are too many, at most ")


def test_unknown_namespace_is_repeated_shortened_and_escaped(
    stub: invalidation_pb2_grpc.CacheInvalidationStub,
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        invalidate(stub, "a\n" * 100_000)
    code, details = status_of(error)
    assert (code, len(details) < 200, details.isprintable()) == ("INVALID_ARGUMENT", True, True)


def test_run_id_reused_for_other_content_is_refused_and_invalidates_nothing(
    stub: invalidation_pb2_grpc.CacheInvalidationStub,
) -> None:
    first = invalidate(stub, "skills", run_id="x")
    before = generations.read_tags(["postings"])
    for namespaces, more in ((["postings"], {}), (["skills"], {"ids": [7]})):
        with pytest.raises(grpc.RpcError) as error:
            invalidate(stub, *namespaces, run_id="x", **more)
        assert status_of(error)[0] == "ALREADY_EXISTS"
    assert generations.read_tags(["postings"]) == before
    assert invalidate(stub, "skills", run_id="x") == first
    warm_ahead = invalidation_pb2.WarmAheadRequest(namespaces=["skills"], run_id="y")
    stub.WarmAhead(warm_ahead, timeout=10)
    stub.WarmAhead(warm_ahead, timeout=10)
    with pytest.raises(grpc.RpcError) as error:
        stub.WarmAhead(invalidation_pb2.WarmAheadRequest(namespaces=["postings"], run_id="y"), timeout=10)
    assert status_of(error)[0] == "ALREADY_EXISTS"
