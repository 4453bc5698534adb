"""The calling end of the invalidation sidecars, used by the workers' final task."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from django.conf import settings

from apps.rpc.client import Client
from proto import invalidation_pb2, invalidation_pb2_grpc

SidecarClient = Client[invalidation_pb2_grpc.CacheInvalidationStub]


@dataclass(frozen=True)
class Acknowledgement:
    """One sidecar's answer. `reached` web processes heard; 0 when the sidecar had the run before."""

    address: str
    generations: dict[str, int]
    reached: int


@cache
def sidecar(address: str) -> SidecarClient:
    """This process's client of the sidecar at `address`: one, so that its circuit breaker remembers."""
    return Client(address, invalidation_pb2_grpc.CacheInvalidationStub)


def invalidate(
    address: str, namespaces: Sequence[str], *, ids: Sequence[int] = (), run_id: str = "", reason: str = ""
) -> Acknowledgement:
    """Tells one sidecar that rows changed. Idempotent by `run_id`.

    Raises TransientRpcError, CircuitOpenError or PermanentRpcError.
    """
    request = invalidation_pb2.InvalidateRequest(namespaces=namespaces, ids=ids, run_id=run_id, reason=reason)
    answer = sidecar(address).call(
        lambda stub: stub.Invalidate, request, deadline=settings.INVALIDATE_DEADLINE
    )
    return Acknowledgement(address, dict(answer.generations), answer.processes_reached)


def prepare(address: str, namespaces: Sequence[str], *, run_id: str) -> bool:
    """Says that an Invalidate will follow; whether answers are being computed ahead of it, which is to be waited for.

    Raises TransientRpcError, CircuitOpenError or PermanentRpcError.
    """
    request = invalidation_pb2.PrepareRequest(namespaces=namespaces, run_id=run_id)
    answer = sidecar(address).call(lambda stub: stub.Prepare, request, deadline=settings.INVALIDATE_DEADLINE)
    return answer.preparing
