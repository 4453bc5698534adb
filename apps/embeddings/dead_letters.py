"""Dead letters: rows that cannot be embedded, and the ways out of that state.

A letter is about the content that failed. It is open until the row is edited, deleted or embedded (cleared),
somebody gives the row back to the workers (replayed), or somebody accepts that the row has no vector
(discarded).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from django.conf import settings
from django.db import IntegrityError, connection, transaction

from apps.embeddings import hints
from apps.embeddings.kinds import TABLES, tables
from apps.embeddings.leases import Lease
from apps.embeddings.models import DeadLetter, EmbeddingChunk, EmbeddingModel, EmbeddingRun, Invalidation
from apps.embeddings.models.ledger import DeadLetterQuerySet
from apps.embeddings.reading import Text
from apps.sql import load


@dataclass(frozen=True)
class FailedText:
    """A text that cannot be embedded. Neither `error` nor `traceback` quotes it."""

    text: Text
    step: str
    error: str
    traceback: str


@dataclass(frozen=True)
class ReplayResult:
    """Rows given back to the workers, the runs that embed them, and letters of retired models, which stay."""

    rows: int = 0
    runs: list[int] = field(default_factory=list)
    retired: int = 0


def record_dead_letters(lease: Lease, failed: Sequence[FailedText]) -> None:
    """Open a letter for every row of the failed texts. Call it in the transaction that stores the chunk."""
    letters = [
        DeadLetter(
            kind=lease.kind,
            row_id=row_id,
            model=lease.model,
            run_id=lease.run_id,
            chunk_id=lease.chunk_id,
            content_hash=each.text.content_hash,
            step=each.step,
            error=each.error[:500],
            traceback=each.traceback,
            attempts=lease.attempts,
        )
        for each in failed
        for row_id in each.text.row_ids
    ]
    if not letters:
        return
    # An open letter about an earlier content of the row is replaced.
    DeadLetter.objects.open().filter(
        kind=lease.kind, model=lease.model, row_id__in=[each.row_id for each in letters]
    ).update(state=DeadLetter.State.CLEARED)
    DeadLetter.objects.bulk_create(letters)


def record_dead_letters_of_chunk(chunk_id: int, *, error: str) -> int:
    """End a planned chunk and open letters for its rows, except current and deleted ones; returns how many.

    For a chunk that has used up its attempts for a reason that is not in one of its texts.
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
                load(__file__, "record_dead_chunk").format(**tables(chunk.run.kind).sql),
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


@transaction.atomic
def replay(letters: DeadLetterQuerySet) -> ReplayResult:
    """Give the rows of open and discarded letters back to the workers, which encode them in a subprocess.

    The rows join the open run over their kind and model; if there is none, their own run is reopened. The
    workers are told after the commit; if the message is lost, the sweeper finds the runs. The number of
    statements does not grow with the number of letters. Safe to call twice at once: each letter is replayed
    by one caller.
    """
    locked = list(
        letters.held()
        .select_related(None)
        .select_for_update(of=("self",), skip_locked=True)
        .order_by("kind", "model_id", "id")
        .only("kind", "model_id", "run_id", "row_id")
    )
    retired = set(
        EmbeddingModel.objects.filter(state=EmbeddingModel.State.RETIRED).values_list("pk", flat=True)
    )
    replayed = [letter for letter in locked if letter.model_id not in retired]
    letter_ids = [letter.pk for letter in replayed]
    _detach(letter_ids)
    runs = [
        _append_to_run(kind, model_id, list(group))
        for (kind, model_id), group in groupby(replayed, key=lambda each: (each.kind, each.model_id))
    ]
    DeadLetter.objects.filter(pk__in=letter_ids).update(state=DeadLetter.State.REPLAYED)
    hints.plan_soon(runs)
    return ReplayResult(len(replayed), runs, len(locked) - len(replayed))


def discard(letters: DeadLetterQuerySet) -> int:
    """Accept that the rows of open letters have no vector until they are edited; returns how many."""
    return letters.open().update(state=DeadLetter.State.DISCARDED)


def clear_outdated() -> int:
    """Clear held letters whose row was edited, deleted or embedded since; returns how many."""
    cleared = 0
    with connection.cursor() as cursor:
        for names in TABLES.values():
            statement = load(__file__, "clear_outdated_letters").format(**names.sql)
            cursor.execute(statement, {"kind": names.kind.value})
            cleared += cursor.rowcount
    return cleared


def _detach(letter_ids: list[int]) -> None:
    """Take the rows of letters out of the counts of the chunks and runs in which they died."""
    with connection.cursor() as cursor:
        # Chunks first, then runs: the order in which write_chunk locks them.
        cursor.execute(
            """
            UPDATE embeddings_embeddingchunk AS chunk
            SET rows = rows - least(dead, rows_dead), rows_dead = rows_dead - least(dead, rows_dead)
            FROM (SELECT chunk_id, count(*) AS dead FROM embeddings_deadletter
                  WHERE id = ANY (%s) GROUP BY chunk_id) AS letter
            WHERE chunk.id = letter.chunk_id
            """,
            [letter_ids],
        )
        cursor.execute(
            """
            UPDATE embeddings_embeddingrun AS run SET rows = rows - least(dead, rows)
            FROM (SELECT run_id, count(*) AS dead FROM embeddings_deadletter
                  WHERE id = ANY (%s) GROUP BY run_id) AS letter
            WHERE run.id = letter.run_id
            """,
            [letter_ids],
        )


def _append_to_run(kind: str, model_id: int, letters: Sequence[DeadLetter]) -> int:
    """Give the rows of letters to the open run over their kind and model; returns the run's id."""
    run = _open_run(kind, model_id, [letter.run_id for letter in letters if letter.run_id])
    if run.state == EmbeddingRun.State.PLANNED:
        return run.pk  # its plan will take every pending row, these among them
    with connection.cursor() as cursor:
        cursor.execute(
            load(__file__, "append_isolated_chunks"),
            {
                "run": run.pk,
                "ids": sorted({letter.row_id for letter in letters}),
                "chunk_size": settings.EMBEDDING_CHUNK_SIZE,
                "wave_size": settings.EMBEDDING_WAVE_SIZE,
            },
        )
    return run.pk


def _open_run(kind: str, model_id: int, own_runs: Sequence[int]) -> EmbeddingRun:
    """The open run, else the latest of `own_runs`, reopened, else a new one. Locked in this transaction."""
    runs = EmbeddingRun.objects.select_for_update().filter(kind=kind, model_id=model_id)
    while True:
        if found := runs.unfinished().first():
            return found
        own = runs.filter(pk__in=own_runs).first()
        try:
            with transaction.atomic():
                if own is None:
                    return EmbeddingRun.objects.create(
                        kind=kind, model_id=model_id, state=EmbeddingRun.State.PLANNED, reason="replay"
                    )
                own.state, own.finished_at = EmbeddingRun.State.RUNNING, None
                own.save(update_fields=["state", "finished_at"])
                # The caches must be invalidated for what the run writes from now on.
                Invalidation.objects.filter(run=own).exclude(acknowledged_at=None).delete()
                return own
        except IntegrityError:
            continue  # another run was opened at this moment: join it
