"""Telling the web tier's caches of a run: at least once to every sidecar."""

import logging

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps.caching import client
from apps.embeddings.kinds import tables
from apps.embeddings.models import Invalidation
from apps.rpc.errors import RpcError

logger = logging.getLogger(__name__)


def deliver(run_id: int) -> None:
    """Calls every sidecar that has not acknowledged the run, and records who did.

    Nothing to do where the run wrote nothing. Raises the last RpcError where a sidecar could not be told; those
    that could are recorded, so that the next delivery calls only the others.
    """
    record = (
        Invalidation.objects.select_related("run__model").filter(run_id=run_id, acknowledged_at=None).first()
    )
    if record is None:
        return
    failed: RpcError | None = None
    acknowledged = set(record.acknowledged_by)
    for address in settings.INVALIDATION_ADDRESSES:
        if address in acknowledged:
            continue
        try:
            answer = client.invalidate(
                address,
                [tables(record.run.kind).namespace],
                run_id=f"run-{run_id}-{record.pk}",  # a run that was reopened has a new record
                reason=f"{record.run} with {record.run.model}",
            )
        except RpcError as error:
            failed = error
        else:
            acknowledged.add(address)
            logger.info("%s acknowledged run %d, %d web processes heard", address, run_id, answer.reached)
    _record(record, acknowledged, failed)
    if failed is not None:
        raise failed


def _record(record: Invalidation, acknowledged: set[str], failed: RpcError | None) -> None:
    with transaction.atomic():
        current = Invalidation.objects.select_for_update().get(pk=record.pk)
        current.acknowledged_by = sorted(acknowledged | set(current.acknowledged_by))
        current.attempts += 1
        current.error = str(failed)[:500] if failed else ""
        if failed is None:
            current.acknowledged_at = timezone.now()
        current.save()
