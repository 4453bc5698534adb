"""Pull the vectors of a run from another embedding server instead of embedding with the local workers.

The ledger is the checkpoint: a chunk is leased before its texts are sent and stored as soon as its vectors
arrive. So a pull may be killed at any moment and continues with what is left. The local workers write the
vectors and finish the run.
"""

import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.embeddings import chunk_ledger, hints, leases, planning, reading, runs
from apps.embeddings.chunk_ledger import EmbeddedText
from apps.embeddings.client import EmbeddingClient
from apps.embeddings.dead_letters import FailedText
from apps.embeddings.errors import EmbeddingError, LeaseLostError
from apps.embeddings.leases import Heartbeat, Lease
from apps.embeddings.models import EmbeddingChunk, EmbeddingRun
from apps.embeddings.reading import Text
from apps.embeddings.vector_stream import KeyedText, MissingVector, Vector, VectorStream
from apps.rpc.errors import PermanentRpcError, TransientRpcError

logger = logging.getLogger(__name__)

MAX_SENT = 4  # chunks sent and not received: enough that a distant server is never idle
STREAM_LEASES = 10  # deadline of a stream, in leases: a slow server may need more than one for a chunk
MAX_FAILURES = 8  # streams in a row that may fail without a single chunk: about two minutes
POLL = 0.5  # seconds


class PullError(EmbeddingError):
    """The pull cannot continue; the message says why. The vectors received so far are in the ledger."""


class PullStoppedError(PullError):
    """Somebody paused or cancelled the run, or gave it to the local workers."""


@dataclass(frozen=True)
class _SentChunk:
    """A chunk that was sent: its texts, and the vectors that equal texts have already."""

    lease: Lease
    heartbeat: Heartbeat
    wave: int
    texts: list[Text]
    existing: list[EmbeddedText]


def pull_run(run: EmbeddingRun, client: EmbeddingClient, *, on_chunk: Callable[[], None]) -> None:
    """Take the run over from the local workers; returns when every chunk has its vectors or dead letters.

    `on_chunk` is called after each chunk and while the pull waits. Raises PullError if another process pulls
    the run, if somebody pauses or cancels it, or if the server refuses or stays unavailable. In the last
    case, and on interrupt, the run is paused: another pull resumes it, or `embed --resume` does with the
    local workers.
    """
    with _exclusive(run):
        _take_over(run, client.address)
        try:
            _Pull(run, client, on_chunk).finish()
        except PullStoppedError:
            raise
        except (PullError, KeyboardInterrupt) as error:
            runs.pause_run(run.pk, reason=f"pull: {str(error) or 'interrupted'}")
            raise
        hints.write_soon(run.pk, 0)  # finishes the run if nothing was left to pull


@contextmanager
def _exclusive(run: EmbeddingRun) -> Iterator[None]:
    """Hold an advisory lock, which ends with the database session even if the pull is killed."""
    name = f"pull of run {run.pk}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [name])
        if not cursor.fetchone()[0]:
            raise PullError(f"Cannot pull {run}: another process pulls it.")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(hashtext(%s))", [name])


def pause_abandoned() -> int:
    """Pause the unfinished runs whose pull was killed; returns how many.

    Such a run is open and would otherwise keep its kind from being embedded.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE embeddings_embeddingrun AS run SET state = 'paused', resume_at = NULL, paused_because =
                'The pull from ' || pulled_from || ' ended early. Pull again, or resume with local workers.'
            WHERE state = 'running' AND pulled_from <> '' AND EXISTS (
                SELECT FROM embeddings_embeddingchunk
                WHERE run_id = run.id AND state IN ('planned', 'leased'))
            AND NOT EXISTS (
                SELECT FROM pg_locks
                WHERE locktype = 'advisory' AND granted AND objsubid = 1
                    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                    AND objid = (hashtext('pull of run ' || run.id)::bigint & 4294967295)::oid)
            """
        )
        return int(cursor.rowcount)


def _take_over(run: EmbeddingRun, address: str) -> None:
    planning.write_plan(run.pk)
    with transaction.atomic():  # so that no waves are sent in between
        runs.resume_run(run.pk)
        EmbeddingRun.objects.filter(pk=run.pk).update(pulled_from=address)


class _Pull:
    """One pull of a run."""

    def __init__(self, run: EmbeddingRun, client: EmbeddingClient, on_chunk: Callable[[], None]) -> None:
        self._run, self._client, self._on_chunk = run, client, on_chunk
        # The same for each pull of the run from this address, which takes over the leases of a killed one at
        # once.
        self._token = uuid5(NAMESPACE_URL, f"{client.address}/{run.pk}")
        self._sent: deque[_SentChunk] = deque()
        self._failures = 0

    def finish(self) -> None:
        """Pull until nothing is left."""
        while self._is_mine() and self._left().exists():
            try:
                progressed = self._run_stream()
            except TransientRpcError as error:
                self._back_off(error)
            except PermanentRpcError as error:
                raise PullError(str(error)) from error
            else:
                if not progressed:  # others hold the last chunks, or the writer is behind
                    time.sleep(POLL)
                    self._on_chunk()

    def _is_mine(self) -> bool:
        """Whether the run is unfinished. Raises PullStoppedError if somebody stopped it or took it over."""
        self._run.refresh_from_db()
        if not self._run.is_open and self._run.state != EmbeddingRun.State.CANCELLED:
            return False
        if self._run.state != EmbeddingRun.State.RUNNING or self._run.pulled_from != self._client.address:
            raise PullStoppedError(f"{self._run} was {self._run.state} or taken over by somebody else.")
        return True

    def _run_stream(self) -> bool:
        """Send and receive chunks in one stream; returns False if there was no chunk to send."""
        until = time.monotonic() + settings.EMBEDDING_LEASE / 2
        chunk = self._next_to_send(until)
        if chunk is None:
            return False
        try:
            deadline = STREAM_LEASES * settings.EMBEDDING_LEASE
            with VectorStream(self._client, self._run.model, deadline=deadline) as stream:
                while self._sent:
                    while chunk is not None:
                        texts = [KeyedText(each.content_hash, each.text) for each in chunk.texts]
                        stream.send(chunk.lease.chunk_id, texts)
                        chunk = self._next_to_send(until)
                    results = stream.receive(on_wait=self._hold)
                    self._store(self._sent.popleft(), results)
                    self._failures = 0
                    self._on_chunk()
                    chunk = self._next_to_send(until)
        except (TransientRpcError, PermanentRpcError, KeyboardInterrupt) as error:
            for each in self._sent:
                leases.release_lease(each.lease, error=str(error))
            raise
        finally:
            self._sent.clear()
        return True

    def _hold(self) -> None:
        """Renew the leases of the sent chunks. A lost lease is noticed when the chunk is stored."""
        for each in self._sent:
            with suppress(LeaseLostError):
                each.heartbeat.beat()

    def _left(self) -> QuerySet[EmbeddingChunk]:
        return self._run.chunks.filter(state__in=[EmbeddingChunk.State.PLANNED, EmbeddingChunk.State.LEASED])

    def _next_chunk(self) -> tuple[int, int] | None:
        """(chunk, wave) to send next; None while as many chunks wait for the writer as may be in flight."""
        unwritten = self._run.chunks.filter(state=EmbeddingChunk.State.EMBEDDED).count()
        if unwritten + len(self._sent) >= settings.EMBEDDING_WAVES_IN_FLIGHT * settings.EMBEDDING_WAVE_SIZE:
            return None
        free = (
            Q(state=EmbeddingChunk.State.PLANNED) | Q(lease=self._token) | Q(leased_until__lt=timezone.now())
        )
        sent = [each.lease.chunk_id for each in self._sent]
        chunks = self._left().filter(free).exclude(pk__in=sent).order_by("number")
        return chunks.values_list("pk", "wave").first()

    def _next_to_send(self, until: float) -> _SentChunk | None:
        """Lease and read the next chunk; None if none can be sent now, or no more in this stream."""
        if len(self._sent) >= MAX_SENT or time.monotonic() >= until:
            return None
        found = self._next_chunk()
        if found is None:
            return None
        chunk_id, wave = found
        lease = leases.lease_chunk(
            chunk_id,
            task_id=str(self._token),
            worker=f"pull from {self._client.address}",
            pulled_from=self._client.address,
        )
        if lease is None:
            return None
        texts, known = reading.read_texts(lease)
        vectors = reading.existing_vectors(lease, list(known))
        reused = [EmbeddedText(key, known[key], vector, reused=True) for key, vector in vectors.items()]
        self._sent.append(_SentChunk(lease, Heartbeat(lease), wave, texts, reused))
        return self._sent[-1]

    def _store(self, chunk: _SentChunk, results: list[Vector | MissingVector]) -> None:
        embedded, failures = list(chunk.existing), []
        for text, result in zip(chunk.texts, results, strict=True):
            if isinstance(result, MissingVector):
                failures.append(FailedText(text, "pull", result.error, ""))
            else:
                embedded.append(EmbeddedText(text.content_hash, text.row_ids, result))
        try:
            chunk_ledger.store_vectors(chunk.lease, embedded, failures)
        except LeaseLostError as error:
            logger.info("%s", error)
        else:
            hints.write_soon(self._run.pk, chunk.wave)

    def _back_off(self, error: TransientRpcError) -> None:
        """Wait before the next stream: exponential backoff with full jitter. Raises PullError at the end."""
        self._failures += 1
        if self._failures >= MAX_FAILURES:
            raise PullError(f"{MAX_FAILURES} attempts failed in a row, the last with {error}") from error
        logger.warning("%s", error)
        time.sleep(random.uniform(0, min(2.0**self._failures, 30)))  # noqa: S311  spreads retries, guards no secret
