"""The tasks: doors to the services, with what they retry. Each may run twice, and twice at once.

Their queues are in workers.configuration.
"""

import logging
from typing import Any

from celery import Task, chord, group, shared_task
from django.db import InterfaceError, OperationalError
from kombu.exceptions import OperationalError as BrokerError

from apps.embeddings import invalidation, leases, ledger, lifecycle, planning, pruning, runs, sweeping
from apps.embeddings.models import Kind
from apps.recommendations import text_index
from apps.rpc.errors import TransientRpcError
from workers.app import app
from workers.encoding.errors import TransientEncoderError

logger = logging.getLogger(__name__)

# The database or the broker is away for a moment, or memory is short. Backoff is exponential with full jitter.
TRANSIENT = (OperationalError, InterfaceError, BrokerError, TransientEncoderError)
TEXTS_AT_A_TIME = 10_000  # rows: some five to fifteen seconds
RETRY: dict[str, Any] = {
    "autoretry_for": TRANSIENT,
    "max_retries": 8,
    "retry_backoff": 1,
    "retry_backoff_max": 60,
    "retry_jitter": True,
}


@shared_task(**RETRY)
def start_runs(kinds: list[str] | None = None, *, reason: str = "schedule") -> list[int]:
    """Starts a run for each kind and model that has pending rows and no open run. Returns the runs.

    The words of pending rows are indexed meanwhile.
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
    """Writes a run's chunks and sends its first waves. What has to be embedded has words to be indexed too."""
    run = planning.plan_run(run_id)
    advance_run(run_id)
    index_texts.delay(run.kind)


@shared_task(ignore_result=True, **RETRY)
def index_texts(kind: str) -> None:
    """Indexes the words of pending rows for full-text search, so many at a time that other tasks get their turn."""
    if not text_index.index_texts(kind, limit=TEXTS_AT_A_TIME).complete:
        index_texts.delay(kind)


@shared_task(bind=True, ignore_result=False, **RETRY)
def embed_chunk(self: "Task[Any, Any]", chunk_id: int) -> int:
    """Header of a wave's chord. Ends normally whatever happens to the chunk: the ledger says what did."""
    from workers import chunks  # brings torch, which no other task needs

    lease = None
    try:
        lease = leases.lease_chunk(chunk_id, task_id=self.request.id, worker=self.request.hostname)
        if lease is not None:
            chunks.process(lease)
    except TRANSIENT as error:
        if self.request.retries < RETRY["max_retries"]:
            raise
        # A header that fails would end its chord: this one ends normally, and the run goes on after a pause.
        chunks.give_up_for_now(chunk_id, lease, error=str(error))
    return chunk_id


@shared_task(**RETRY)
def write_wave(run_id: int, wave: int) -> None:
    """Body of a wave's chord: writes what was embedded, then lets the run go on."""
    for chunk_id in ledger.embedded_chunks(run_id, wave):
        ledger.write_chunk(chunk_id)
    advance_run(run_id)


@shared_task(**RETRY)
def prepare_serving(run_id: int) -> None:
    """After a run: builds the index of a model that is complete, and activates the first model."""
    if lifecycle.prepare_serving(run_id):
        ledger.mark_prepared(run_id)
    invalidate_run.delay(run_id)


@shared_task(**RETRY | {"autoretry_for": (*TRANSIENT, TransientRpcError)})
def invalidate_run(run_id: int) -> None:
    """Invalidate the caches through every sidecar: the last task of a run.

    Popular responses are warmed first. The warmer sends this task again when it has finished. The countdown sends it at
    the deadline, in case the warmer or its message is lost, so that no worker thread waits for the warmer.
    What no sidecar acknowledges stays recorded for the sweeper.
    """
    wait = invalidation.request_warming(run_id)
    if wait:
        invalidate_run.apply_async([run_id], countdown=wait)
    else:
        invalidation.deliver(run_id)


@shared_task(ignore_result=True)
def sweep() -> None:
    """Sends again what the ledger says is overdue."""
    sweeping.settle()
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
    for run_id in overdue.prepare:
        prepare_serving.delay(run_id)
    for run_id in overdue.invalidate:
        invalidate_run.delay(run_id)
    if overdue:
        logger.warning("sent again what was overdue: %s", overdue)


@shared_task(**RETRY)
def prune() -> None:
    """Deletes what the ledger has kept for long enough."""
    pruning.prune()


def advance_run(run_id: int) -> None:
    """Sends the waves that are due; finishes the run after the last one."""
    for wave in planning.claim_waves(run_id):
        send_wave(run_id, wave)
    if ledger.finish_run(run_id):
        prepare_serving.delay(run_id)


def send_wave(run_id: int, wave: int) -> None:
    """One chord: the chunks of the wave, then the writing of what they embedded."""
    headers = group(embed_chunk.si(chunk_id) for chunk_id in ledger.chunks_of_wave(run_id, wave))
    chord(headers)(write_wave.si(run_id, wave))


def queue_length(queue: str) -> int:
    """Messages that wait in a queue of the broker."""
    with app.connection_for_read() as connection:
        channel: Any = connection.channel()
        return int(channel.queue_declare(queue=queue).message_count)
