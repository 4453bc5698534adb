"""Telling the web tier's caches of a run: at least once to every sidecar."""

import logging
import re

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps.caching import client
from apps.embeddings.kinds import tables
from apps.embeddings.models import EmbeddingRun, Invalidation
from apps.rpc.errors import RpcError

logger = logging.getLogger(__name__)


def defer_to_open_run(kind: str) -> bool:
    """Lets a run over `kind` that is going on tell the caches at its end of what else changed; whether there is one."""
    with transaction.atomic():
        going_on = EmbeddingRun.objects.filter(
            kind=kind, state__in=(EmbeddingRun.State.PLANNED, EmbeddingRun.State.RUNNING)
        )
        run = going_on.select_for_update().first()  # so that it does not end meanwhile
        if run is None:
            return False
        Invalidation.objects.bulk_create([Invalidation(run=run)], ignore_conflicts=True)
    return True


def request_warming(run_id: int) -> float:
    """Ask the sidecars to warm popular responses ahead of the run's invalidation. Idempotent.

    Returns how long to wait, in seconds, before `deliver`: 0 once the warmers have finished, if none listens, or if
    there is nothing to deliver. A sidecar that cannot be reached is logged and not waited for.
    """
    record = _undelivered(run_id)
    if record is None:
        return 0.0
    wait = 0.0
    for address in settings.INVALIDATION_ADDRESSES:
        if address in record.acknowledged_by:
            continue
        try:
            wait = max(wait, client.warm_ahead(address, _namespaces(record), run_id=_name(record)))
        except RpcError as error:
            logger.info("Cannot warm caches ahead of run %d through %s: %s", run_id, address, error)
    return wait


def run_of(name: str) -> int | None:
    """The run whose invalidation is called `name` in the shared cache; None if it is another program's."""
    match = re.fullmatch(r"run-(\d+)-\d+", name)
    return int(match[1]) if match else None


def deliver(run_id: int) -> None:
    """Calls every sidecar that has not acknowledged the run, and records who did.

    Nothing to do where the run wrote nothing. Raises the last RpcError where a sidecar could not be told; those
    that could are recorded, so that the next delivery calls only the others.
    """
    record = _undelivered(run_id)
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
                _namespaces(record),
                run_id=_name(record),
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


def _undelivered(run_id: int) -> Invalidation | None:
    records = Invalidation.objects.select_related("run__model")
    return records.filter(run_id=run_id, acknowledged_at=None).first()


def _namespaces(record: Invalidation) -> list[str]:
    return [tables(record.run.kind).namespace]


def _name(record: Invalidation) -> str:
    return f"run-{record.run_id}-{record.pk}"  # a run that was reopened has a new record


def _record(record: Invalidation, acknowledged: set[str], failed: RpcError | None) -> None:
    with transaction.atomic():
        current = Invalidation.objects.select_for_update().get(pk=record.pk)
        current.acknowledged_by = sorted(acknowledged | set(current.acknowledged_by))
        current.attempts += 1
        current.error = str(failed)[:500] if failed else ""
        if failed is None:
            current.acknowledged_at = timezone.now()
        current.save()
