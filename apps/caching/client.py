"""The client of the invalidation sidecars, used by the last task of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from django.conf import settings

from apps.rpc.client import Client
from proto import invalidation_pb2, invalidation_pb2_grpc

SidecarClient = Client[invalidation_pb2_grpc.CacheInvalidationStub]


@dataclass(frozen=True)
class Acknowledgement:
    """The response of one sidecar. `reached` web processes listened; 0 if the run was invalidated before."""

    address: str
    generations: dict[str, int]
    reached: int


@cache
def sidecar(address: str) -> SidecarClient:
    """The client of the sidecar at `address`: one per process, since it holds the circuit breaker."""
    return Client(address, invalidation_pb2_grpc.CacheInvalidationStub)


def invalidate(
    address: str, namespaces: Sequence[str], *, ids: Sequence[int] = (), run_id: str = "", reason: str = ""
) -> Acknowledgement:
    """Invalidate cached responses through one sidecar. Idempotent by `run_id`.

    Raises TransientRpcError, CircuitOpenError or PermanentRpcError.
    """
    request = invalidation_pb2.InvalidateRequest(namespaces=namespaces, ids=ids, run_id=run_id, reason=reason)
    answer = sidecar(address).call(
        lambda stub: stub.Invalidate, request, deadline=settings.INVALIDATE_DEADLINE
    )
    return Acknowledgement(address, dict(answer.generations), answer.processes_reached)


def warm_ahead(address: str, namespaces: Sequence[str], *, run_id: str) -> float:
    """Have popular responses warmed ahead of an invalidation. Idempotent by `run_id`.

    Returns how long to wait before invalidating, in seconds. Raises TransientRpcError, CircuitOpenError or
    PermanentRpcError.
    """
    request = invalidation_pb2.WarmAheadRequest(namespaces=namespaces, run_id=run_id)
    answer = sidecar(address).call(
        lambda stub: stub.WarmAhead, request, deadline=settings.INVALIDATE_DEADLINE
    )
    return answer.wait_seconds
