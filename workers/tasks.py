"""Celery tasks. Each calls a service and names what it retries; each may run twice, also at the same time.

Their queues are set in workers.configuration.
"""

import logging
from typing import Any

from celery import Task, chord, group, shared_task
from django.db import InterfaceError, OperationalError
from kombu.exceptions import OperationalError as BrokerError

from apps.embeddings import chunk_ledger, invalidation, leases, lifecycle, planning, pruning, runs, sweeping
from apps.embeddings.models import EmbeddingModel, Kind
from apps.recommendations import copies, text_index
from apps.rpc.errors import TransientRpcError
from apps.skills.pruning import delete_unused_skills
from workers.app import app
from workers.encoding.errors import TransientEncoderError

logger = logging.getLogger(__name__)

# The database or the broker is unavailable, or memory is short. Backoff is exponential with full jitter.
TRANSIENT = (OperationalError, InterfaceError, BrokerError, TransientEncoderError)
INDEXED_AT_A_TIME = 10_000  # rows, which take 5 to 15 seconds
COMPARED_AT_A_TIME = 2_000  # postings, which take as long
RETRY: dict[str, Any] = {
    "autoretry_for": TRANSIENT,
    "max_retries": 8,
    "retry_backoff": 1,
    "retry_backoff_max": 60,
    "retry_jitter": True,
}


@shared_task(**RETRY)
def start_runs(kinds: list[str] | None = None, *, reason: str = "schedule") -> list[int]:
    """Start a run for each kind and model that has pending rows and no open run; returns the runs.

    Also index the texts of pending rows for full-text search.
    """
    started = []
    for kind in kinds or Kind.values:
        index_texts.delay(kind)
        for run in runs.request_due_runs(kind, reason=reason):
            plan_run.delay(run.pk)
            started.append(run.pk)
    return started


@shared_task(**RETRY)
def plan_run(run_id: int) -> None:
    """Plan a run and send its first waves. Also index the texts of its kind for full-text search."""
    run = planning.write_plan(run_id)
    advance_run(run_id)
    index_texts.delay(run.kind)


@shared_task(ignore_result=True, **RETRY)
def index_texts(kind: str) -> None:
    """Index the texts of pending rows for full-text search, in parts, so that other tasks get their turn."""
    if not text_index.update_text_index(kind, limit=INDEXED_AT_A_TIME).complete:
        index_texts.delay(kind)


@shared_task(bind=True, ignore_result=False, **RETRY)
def embed_chunk(self: "Task[Any, Any]", chunk_id: int) -> int:
    """Header of a wave's chord. It always succeeds: what happened to the chunk is recorded in the ledger."""
    from workers import chunks  # imports torch, which no other task needs

    lease = None
    try:
        lease = leases.lease_chunk(chunk_id, task_id=self.request.id, worker=self.request.hostname)
        if lease is not None:
            chunks.process(lease)
    except TRANSIENT as error:
        if self.request.retries < RETRY["max_retries"]:
            raise
        # A header that fails would end its chord. This one succeeds, and the run continues after a pause.
        chunks.pause_after_last_retry(chunk_id, lease, error=str(error))
    return chunk_id


@shared_task(**RETRY)
def write_wave(run_id: int, wave: int) -> None:
    """Body of a wave's chord: write the embedded chunks, then send the next waves or finish the run."""
    for chunk_id in chunk_ledger.embedded_chunks(run_id, wave):
        chunk_ledger.write_chunk(chunk_id)
    advance_run(run_id)


@shared_task(**RETRY)
def build_indexes_of_run(run_id: int) -> None:
    """After a run: build the indexes of a complete model, and activate the first model."""
    if lifecycle.build_indexes(run_id):
        chunk_ledger.mark_indexed(run_id)
    invalidate_run.delay(run_id)
    group_near_copies.delay()


@shared_task(ignore_result=True, **RETRY)
def group_near_copies() -> None:
    """Group postings that are copies by their vectors, in parts, so that other tasks get their turn."""
    model = EmbeddingModel.objects.active()
    if model and copies.group_near_copies(model, limit=COMPARED_AT_A_TIME) == COMPARED_AT_A_TIME:
        group_near_copies.delay()


@shared_task(**RETRY | {"autoretry_for": (*TRANSIENT, TransientRpcError)})
def invalidate_run(run_id: int) -> None:
    """Invalidate the caches through every sidecar: the last task of a run.

    Popular responses are warmed first. The warmer sends this task again when it has finished. The countdown
    sends it at the deadline, in case the warmer or its message is lost, so that no worker thread waits for
    the warmer. What no sidecar acknowledges stays recorded for the sweeper.
    """
    wait = invalidation.request_warming(run_id)
    if wait:
        invalidate_run.apply_async([run_id], countdown=wait)
    else:
        invalidation.deliver(run_id)


@shared_task(ignore_result=True)
def sweep() -> None:
    """Recover what lost messages and lost workers left undone, and send overdue tasks again."""
    sweeping.recover()
    overdue = sweeping.find_overdue(queued=queue_length("embed"))
    for run_id in overdue.plan:
        plan_run.delay(run_id)
    if overdue.embed:
        sweeping.mark_sent(overdue.embed)
        for chunk_id in overdue.embed:
            embed_chunk.delay(chunk_id)
    for run_id, wave in overdue.write:
        write_wave.delay(run_id, wave)
    for run_id in overdue.advance:
        advance_run(run_id)
    for run_id in overdue.index:
        build_indexes_of_run.delay(run_id)
    for run_id in overdue.invalidate:
        invalidate_run.delay(run_id)
    if overdue:
        logger.warning("Sent overdue tasks again: %s", overdue)


@shared_task(**RETRY)
def prune() -> None:
    """Delete old runs, old dead letters, and unlisted skills that no row has any more."""
    pruning.delete_expired()
    delete_unused_skills()


def advance_run(run_id: int) -> None:
    """Send the waves that are due; finish the run after the last one."""
    for wave in planning.claim_waves(run_id):
        send_wave(run_id, wave)
    if chunk_ledger.finish_run(run_id):
        build_indexes_of_run.delay(run_id)


def send_wave(run_id: int, wave: int) -> None:
    """Send a wave as a chord: its chunks, then the task that writes their vectors."""
    headers = group(embed_chunk.si(chunk_id) for chunk_id in chunk_ledger.chunks_of_wave(run_id, wave))
    chord(headers)(write_wave.si(run_id, wave))


def queue_length(queue: str) -> int:
    """Number of messages in a queue of the broker."""
    with app.connection_for_read() as connection:
        channel: Any = connection.channel()
        return int(channel.queue_declare(queue=queue).message_count)
