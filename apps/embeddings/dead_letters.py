"""Dead letters: rows that cannot be embedded, and the ways out of that state.

A letter is bound to the content that failed. It is open until the row is edited, deleted or embedded after all
(cleared), somebody gives it back to the workers (replayed) or accepts that the row has no vector (discarded).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import F, Max

from apps.embeddings.kinds import TABLES, KindTables, tables
from apps.embeddings.leases import Lease
from apps.embeddings.models import DeadLetter, EmbeddingChunk, EmbeddingModel, EmbeddingRun, Invalidation
from apps.embeddings.models.ledger import DeadLetterQuerySet
from apps.embeddings.reading import Text


@dataclass(frozen=True)
class Failure:
    """A text that cannot be embedded, whoever tries."""

    text: Text
    step: str
    error: str
    traceback: str


@dataclass(frozen=True)
class Replayed:
    """Rows given back to the workers, the runs that now embed them, and letters of retired models, left as they are."""

    rows: int = 0
    runs: list[int] = field(default_factory=list)
    retired: int = 0


def bury(lease: Lease, failures: Sequence[Failure]) -> None:
    """Opens a letter for every row of the failed texts. Call in the transaction that stores the chunk."""
    letters = [
        DeadLetter(
            kind=lease.kind,
            row_id=row_id,
            model=lease.model,
            run_id=lease.run_id,
            chunk_id=lease.chunk_id,
            content_hash=failure.text.content_hash,
            step=failure.step,
            error=failure.error[:500],
            traceback=failure.traceback,
            attempts=lease.attempts,
        )
        for failure in failures
        for row_id in failure.text.row_ids
    ]
    if not letters:
        return
    # An open letter about an earlier content of the row gives way to this one.
    DeadLetter.objects.open().filter(
        kind=lease.kind, model=lease.model, row_id__in=[each.row_id for each in letters]
    ).update(state=DeadLetter.State.CLEARED)
    DeadLetter.objects.bulk_create(letters)


def bury_chunk(chunk_id: int, *, error: str) -> int:
    """Gives up a planned chunk: its rows become dead letters, unless they are current or gone. Returns how many.

    For a chunk that used up its attempts for a reason which no single text could be blamed for.
    """
    with transaction.atomic():
        chunk = (
            EmbeddingChunk.objects.select_for_update(of=("self",))
            .select_related("run")
            .defer("vectors")
            .filter(pk=chunk_id, state=EmbeddingChunk.State.PLANNED)
            .first()
        )
        if chunk is None:
            return 0
        with connection.cursor() as cursor:
            cursor.execute(
                _bury_statement(tables(chunk.run.kind)),
                {
                    "kind": chunk.run.kind,
                    "model": chunk.run.model_id,
                    "run": chunk.run_id,
                    "chunk": chunk.pk,
                    "ids": chunk.row_ids,
                    "error": error[:500],
                    "attempts": chunk.attempts,
                },
            )
            chunk.rows_dead = cursor.rowcount
        chunk.rows_skipped = chunk.rows - chunk.rows_dead
        chunk.state, chunk.error = EmbeddingChunk.State.FAILED, error[:2000]
        chunk.save(update_fields=["rows_dead", "rows_skipped", "state", "error"])
    return chunk.rows_dead


def _bury_statement(names: KindTables) -> str:
    return f"""
        INSERT INTO embeddings_deadletter (kind, row_id, model_id, run_id, chunk_id, content_hash, step, error,
                                           traceback, attempts, state, created_at, updated_at)
        SELECT %(kind)s, record.id, %(model)s, %(run)s, %(chunk)s, record.content_hash, 'chunk', %(error)s,
               '', %(attempts)s, 'open', now(), now()
        FROM {names.record} AS record
        LEFT JOIN {names.embedding} AS embedding
            ON embedding.{names.key} = record.id AND embedding.model_id = %(model)s
        WHERE record.id = ANY (%(ids)s) AND embedding.content_hash IS DISTINCT FROM record.content_hash
        ON CONFLICT (kind, row_id, model_id) WHERE state = 'open' DO UPDATE
            SET content_hash = EXCLUDED.content_hash, run_id = EXCLUDED.run_id, chunk_id = EXCLUDED.chunk_id,
                step = EXCLUDED.step, error = EXCLUDED.error, attempts = EXCLUDED.attempts, updated_at = now()
    """


@transaction.atomic
def replay(letters: DeadLetterQuerySet) -> Replayed:
    """Gives the rows of open and discarded letters back to the workers, who encode each in a subprocess.

    Their run is reopened and becomes complete; where another run over the same rows' kind and model is open, they
    join that one. Safe to run twice at once: a letter is replayed by one caller. The caller tells the workers
    (`apps.embeddings.hints.plan_soon`) of `runs`; where the message is lost the sweeper finds them.
    """
    locked = list(
        letters.held()
        .select_for_update(of=("self",), skip_locked=True)
        .select_related("model")
        .order_by("kind", "model_id", "id")
    )
    alive = [letter for letter in locked if letter.model.state != EmbeddingModel.State.RETIRED]
    runs = [
        _replay_into_run(kind, model_id, list(group))
        for (kind, model_id), group in groupby(alive, key=lambda each: (each.kind, each.model_id))
    ]
    DeadLetter.objects.filter(pk__in=[letter.pk for letter in alive]).update(state=DeadLetter.State.REPLAYED)
    return Replayed(len(alive), runs, len(locked) - len(alive))


def discard(letters: DeadLetterQuerySet) -> int:
    """Accepts that the rows have no vector until they are edited; returns the number of letters."""
    return letters.open().update(state=DeadLetter.State.DISCARDED)


def clear_outdated() -> int:
    """Clears held letters whose row was edited, deleted or embedded since; returns how many. Set-based."""
    cleared = 0
    with connection.cursor() as cursor:
        for names in TABLES.values():
            cursor.execute(
                f"""
                UPDATE embeddings_deadletter AS letter SET state = 'cleared', updated_at = now()
                WHERE letter.state IN ('open', 'discarded') AND letter.kind = %s AND NOT EXISTS (
                    SELECT FROM {names.record} AS record
                    LEFT JOIN {names.embedding} AS embedding ON embedding.{names.key} = record.id
                        AND embedding.model_id = letter.model_id
                        AND embedding.content_hash = record.content_hash
                    WHERE record.id = letter.row_id AND record.content_hash = letter.content_hash
                        AND embedding.model_id IS NULL)
                """,
                [names.kind.value],
            )
            cleared += cursor.rowcount
    return cleared


def _replay_into_run(kind: str, model_id: int, letters: Sequence[DeadLetter]) -> int:
    """The run that embeds the rows of `letters`, with chunks for them."""
    run = _open_run(kind, model_id, letters)
    for letter in letters:
        if letter.chunk_id:  # the row leaves the chunk in which it died
            EmbeddingChunk.objects.filter(pk=letter.chunk_id, rows_dead__gt=0).update(
                rows=F("rows") - 1, rows_dead=F("rows_dead") - 1
            )
        if letter.run_id and letter.run_id != run.pk:
            EmbeddingRun.objects.filter(pk=letter.run_id, rows__gt=0).update(rows=F("rows") - 1)
    joined = sum(letter.run_id != run.pk for letter in letters)
    if run.state == EmbeddingRun.State.PLANNED:
        return run.pk  # its plan takes every pending row, these among them
    _append_chunks(run, sorted({letter.row_id for letter in letters}))
    EmbeddingRun.objects.filter(pk=run.pk).update(rows=F("rows") + joined)
    return run.pk


def _open_run(kind: str, model_id: int, letters: Sequence[DeadLetter]) -> EmbeddingRun:
    """The open run over `kind`, else the latest of the letters' own runs, reopened, else a new one. Locked."""
    runs = EmbeddingRun.objects.select_for_update().filter(kind=kind, model_id=model_id)
    while True:
        if found := runs.unfinished().first():
            return found
        own = runs.filter(pk__in=[letter.run_id for letter in letters]).first()
        try:
            with transaction.atomic():
                if own is None:
                    return EmbeddingRun.objects.create(
                        kind=kind, model_id=model_id, state=EmbeddingRun.State.PLANNED, reason="replay"
                    )
                own.state, own.finished_at = EmbeddingRun.State.RUNNING, None
                own.save(update_fields=["state", "finished_at"])
                # The caches are to hear of what it writes from now on, too.
                Invalidation.objects.filter(run=own).exclude(acknowledged_at=None).delete()
                return own
        except IntegrityError:
            continue  # another run was opened this moment: join it


def _append_chunks(run: EmbeddingRun, row_ids: Sequence[int]) -> None:
    last = run.chunks.aggregate(last=Max("number"))["last"]
    first = 0 if last is None else last + 1
    size, wave_size = settings.EMBEDDING_CHUNK_SIZE, settings.EMBEDDING_WAVE_SIZE
    chunks = [
        EmbeddingChunk(
            run=run,
            number=first + place,
            wave=run.waves + place // wave_size,
            row_ids=list(row_ids[start : start + size]),
            rows=len(row_ids[start : start + size]),
            octets=0,
            # Suspect from the start: whatever they do to a process, it is not the worker's.
            attempts=settings.EMBEDDING_SUSPECT_AFTER,
        )
        for place, start in enumerate(range(0, len(row_ids), size))
    ]
    EmbeddingChunk.objects.bulk_create(chunks)
    EmbeddingRun.objects.filter(pk=run.pk).update(waves=chunks[-1].wave + 1)
