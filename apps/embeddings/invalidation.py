"""The invalidation of caches after a run, delivered at least once to every sidecar."""

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
    """Let the open run over `kind` invalidate for other changes, too; returns whether one is open.

    A paused run does not count, since nobody knows when it ends.
    """
    with transaction.atomic():
        open_runs = EmbeddingRun.objects.filter(
            kind=kind, state__in=(EmbeddingRun.State.PLANNED, EmbeddingRun.State.RUNNING)
        )
        run = open_runs.select_for_update().first()  # locked, so that it does not end now
        if run is None:
            return False
        Invalidation.objects.bulk_create([Invalidation(run=run)], ignore_conflicts=True)
    return True


def request_warming(run_id: int) -> float:
    """Ask the sidecars to warm popular responses ahead of the run's invalidation. Idempotent.

    Returns how long to wait, in seconds, before `deliver`: 0 once the warmers have finished, if none listens,
    or if there is nothing to deliver. A sidecar that cannot be reached is logged and not waited for.
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
    """Call every sidecar that has not acknowledged the run's invalidation, and record those that do.

    Does nothing if the run wrote nothing. Raises the last RpcError if a call failed; the next delivery calls
    only the sidecars that have not acknowledged.
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
            acknowledgement = client.invalidate(
                address,
                _namespaces(record),
                run_id=_name(record),
                reason=f"{record.run} with {record.run.model}",
            )
        except RpcError as error:
            failed = error
        else:
            acknowledged.add(address)
            logger.info(
                "%s acknowledged run %d and reached %d web processes",
                address,
                run_id,
                acknowledgement.reached,
            )
    _record(record, acknowledged, failed)
    if failed is not None:
        raise failed


def _undelivered(run_id: int) -> Invalidation | None:
    records = Invalidation.objects.select_related("run__model")
    return records.filter(run_id=run_id, acknowledged_at=None).first()


def _namespaces(record: Invalidation) -> list[str]:
    return [tables(record.run.kind).namespace]


def _name(record: Invalidation) -> str:
    return f"run-{record.run_id}-{record.pk}"  # a reopened run has a new record


def _record(record: Invalidation, acknowledged: set[str], failed: RpcError | None) -> None:
    with transaction.atomic():
        current = Invalidation.objects.select_for_update().get(pk=record.pk)
        current.acknowledged_by = sorted(acknowledged | set(current.acknowledged_by))
        current.attempts += 1
        current.error = str(failed)[:500] if failed else ""
        if failed is None:
            current.acknowledged_at = timezone.now()
        current.save()
