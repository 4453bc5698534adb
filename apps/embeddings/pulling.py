"""Taking a run's vectors from an embedding server elsewhere, in place of the embed workers here.

The ledger is the checkpoint: a chunk is leased before it is asked for and stored as soon as it is answered, so that a pull
may be killed at any moment and goes on with what is left. The writing, and the end of the run, are as ever.
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

AHEAD = 4  # chunks under way: enough that a server far away is not idle
STREAM = 10  # leases that a stream may take: a server that computes may need more than one for a chunk
ATTEMPTS = 8  # streams in a row that may fail without a single answer: about two minutes
POLL = 0.5  # seconds


class PullError(EmbeddingError):
    """The pull cannot go on; the message says why. What was answered is in the ledger."""


class PullStoppedError(PullError):
    """Somebody paused or cancelled the run, or gave it to others: it is theirs now."""


@dataclass(frozen=True)
class _Asked:
    """A chunk under way: its texts, and what needs no asking since an equal text has its vector."""

    lease: Lease
    heartbeat: Heartbeat
    wave: int
    texts: list[Text]
    known: list[EmbeddedText]


def pull_run(run: EmbeddingRun, client: EmbeddingClient, *, on_chunk: Callable[[], None]) -> None:
    """Takes the run over from the workers here and returns when every chunk of it has its vectors, or its dead letters.

    `on_chunk` is called after each answer, and while there is nothing to do. Raises PullError: where another pull of
    the run is under way; where somebody pauses or cancels it; and where the server refuses or stays away. In the last two
    cases, and when it is interrupted, the run is paused: another pull resumes it, or `embed` does with the workers here.
    """
    with _alone(run):
        _take_over(run, client.address)
        try:
            _Pull(run, client, on_chunk).finish()
        except PullStoppedError:
            raise
        except (PullError, KeyboardInterrupt) as error:
            runs.pause_run(run.pk, reason=f"pull: {str(error) or 'interrupted'}")
            raise
        hints.write_soon(run.pk, 0)  # ends a run of which nothing was left


@contextmanager
def _alone(run: EmbeddingRun) -> Iterator[None]:
    """The lock ends with the database session: a pull that was killed keeps nobody out."""
    name = f"pull of run {run.pk}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [name])
        if not cursor.fetchone()[0]:
            raise PullError(f"another pull of {run} is under way")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(hashtext(%s))", [name])


def pause_abandoned() -> int:
    """Pauses the runs with something left that nobody pulls any more, by whatever the pull ended; how many.

    A run that stayed open so would keep its kind from being embedded at all.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE embeddings_embeddingrun AS run SET state = 'paused', resume_at = NULL, paused_because =
                'the pull from ' || pulled_from || ' has ended: pull again, or resume to embed with the workers here'
            WHERE state = 'running' AND pulled_from <> '' AND EXISTS (
                SELECT FROM embeddings_embeddingchunk WHERE run_id = run.id AND state IN ('planned', 'leased'))
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
    with transaction.atomic():  # nobody sends waves in between
        runs.resume_run(run.pk)
        EmbeddingRun.objects.filter(pk=run.pk).update(pulled_from=address)


class _Pull:
    def __init__(self, run: EmbeddingRun, client: EmbeddingClient, on_chunk: Callable[[], None]) -> None:
        self._run, self._client, self._on_chunk = run, client, on_chunk
        # The same for each pull of the run from there: it may take back what a killed one held, at once.
        self._token = uuid5(NAMESPACE_URL, f"{client.address}/{run.pk}")
        self._asked: deque[_Asked] = deque()
        self._failures = 0

    def finish(self) -> None:
        while self._is_mine() and self._left().exists():
            try:
                pulled = self._pull_a_while()
            except TransientRpcError as error:
                self._back_off(error)
            except PermanentRpcError as error:
                raise PullError(str(error)) from error
            else:
                if not pulled:  # the last chunks are in other hands, or the writer is behind
                    time.sleep(POLL)
                    self._on_chunk()

    def _is_mine(self) -> bool:
        """Whether the run goes on. Raises PullError where somebody stopped it or took it elsewhere."""
        self._run.refresh_from_db()
        if not self._run.is_open and self._run.state != EmbeddingRun.State.CANCELLED:
            return False
        if self._run.state != EmbeddingRun.State.RUNNING or self._run.pulled_from != self._client.address:
            raise PullStoppedError(f"{self._run} was {self._run.state}, or taken over, by somebody else")
        return True

    def _pull_a_while(self) -> bool:
        """One stream, where there is a chunk to ask for."""
        until = time.monotonic() + settings.EMBEDDING_LEASE / 2
        asked = self._ask(until)
        if asked is None:
            return False
        try:
            deadline = STREAM * settings.EMBEDDING_LEASE
            with VectorStream(self._client, self._run.model, deadline=deadline) as stream:
                while self._asked:
                    while asked is not None:
                        texts = [KeyedText(each.content_hash, each.text) for each in asked.texts]
                        stream.send(asked.lease.chunk_id, texts)
                        asked = self._ask(until)
                    results = stream.receive(on_wait=self._hold)
                    self._store(self._asked.popleft(), results)
                    self._failures = 0
                    self._on_chunk()
                    asked = self._ask(until)
        except (TransientRpcError, PermanentRpcError, KeyboardInterrupt) as error:
            for each in self._asked:
                leases.release_lease(each.lease, error=str(error))
            raise
        finally:
            self._asked.clear()
        return True

    def _hold(self) -> None:
        """Keeps the chunks under way. One that was lost all the same is noticed when it is answered."""
        for each in self._asked:
            with suppress(LeaseLostError):
                each.heartbeat.beat()

    def _left(self) -> QuerySet[EmbeddingChunk]:
        return self._run.chunks.filter(state__in=[EmbeddingChunk.State.PLANNED, EmbeddingChunk.State.LEASED])

    def _next_chunk(self) -> tuple[int, int] | None:
        """(chunk, wave) to ask for next; None while as many wait to be written as waves may be in flight."""
        unwritten = self._run.chunks.filter(state=EmbeddingChunk.State.EMBEDDED).count()
        if unwritten + len(self._asked) >= settings.EMBEDDING_WAVES_IN_FLIGHT * settings.EMBEDDING_WAVE_SIZE:
            return None
        free = (
            Q(state=EmbeddingChunk.State.PLANNED) | Q(lease=self._token) | Q(leased_until__lt=timezone.now())
        )
        under_way = [asked.lease.chunk_id for asked in self._asked]
        chunks = self._left().filter(free).exclude(pk__in=under_way).order_by("number")
        return chunks.values_list("pk", "wave").first()

    def _ask(self, until: float) -> _Asked | None:
        """Leases and reads the next chunk; None where none is to be asked for now, or no more in this stream."""
        if len(self._asked) >= AHEAD or time.monotonic() >= until:
            return None
        chunk = self._next_chunk()
        if chunk is None:
            return None
        chunk_id, wave = chunk
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
        self._asked.append(_Asked(lease, Heartbeat(lease), wave, texts, reused))
        return self._asked[-1]

    def _store(self, asked: _Asked, results: list[Vector | MissingVector]) -> None:
        embedded, failures = list(asked.known), []
        for text, result in zip(asked.texts, results, strict=True):
            if isinstance(result, MissingVector):
                failures.append(FailedText(text, "pull", result.error, ""))
            else:
                embedded.append(EmbeddedText(text.content_hash, text.row_ids, result))
        try:
            chunk_ledger.store_vectors(asked.lease, embedded, failures)
        except LeaseLostError as error:
            logger.info("%s", error)
        else:
            hints.write_soon(self._run.pk, asked.wave)

    def _back_off(self, error: TransientRpcError) -> None:
        """Waits before the next stream, exponentially with full jitter. Raises PullError after the last attempt."""
        self._failures += 1
        if self._failures >= ATTEMPTS:
            raise PullError(f"{ATTEMPTS} attempts failed in a row, the last with {error}") from error
        logger.warning("%s", error)
        time.sleep(random.uniform(0, min(2.0**self._failures, 30)))  # noqa: S311  spreads retries, guards no secret
