"""The record of an import: what was read, what became of it, and what a person should look at."""

import hashlib
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import connection
from django.utils import timezone

from apps.records.hand_edits import Conflict
from apps.records.importing.errors import Rejected
from apps.records.importing.tally import Tally
from apps.records.models import Import, ImportNote

MAX_NOTES = 10_000  # rows of one import that are kept to look at
MAX_ROW_CHARACTERS = 100_000  # of a rejected row that is kept in the database; the rejects file has all of it
SILENT = timedelta(minutes=2)  # after which an import that says nothing was interrupted
BEAT_SECONDS = 5.0
LOCK_CLASS = 0x6A6F62  # of the advisory locks of running imports


@dataclass
class History:
    """Writes one `Import` while it goes on.

    Any thread may note rows; `flush` writes the notes over the caller's connection.
    """

    of: Import
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _pending: list[ImportNote] = field(default_factory=list)
    _notes: int = 0
    _beat: float = 0.0
    unnamed_rejects: int = 0
    rejected_ids: set[str] = field(default_factory=set)

    def reject(self, rejected: Rejected) -> None:
        """Keep a rejected row."""
        with self._lock:
            if rejected.external_id:
                self.rejected_ids.add(rejected.external_id)
            else:
                self.unnamed_rejects += 1
        self._note(
            ImportNote(
                of=self.of,
                kind=ImportNote.Kind.REJECTED,
                line=rejected.line,
                external_id=rejected.external_id,
                reasons=[{"field": each.field, "reason": each.text} for each in rejected.reasons],
                row=_bounded(rejected.row),
            )
        )

    def conflict(self, conflict: Conflict) -> None:
        """Keep a conflict between the source and an edit by hand."""
        kept = "the edit by hand stays" if conflict.kept else "the source's value was taken"
        self._note(
            ImportNote(
                of=self.of,
                kind=ImportNote.Kind.CONFLICT,
                external_id=conflict.external_id,
                reasons=[
                    {
                        "field": conflict.field,
                        "reason": f"the source now says {str(conflict.value)[:200]!r}; {kept}",
                    }
                ],
            )
        )

    def _note(self, note: ImportNote) -> None:
        with self._lock:
            self._notes += 1
            if self._notes <= MAX_NOTES:
                self._pending.append(note)

    def seen(self, row_ids: list[int]) -> None:
        """Note that the file holds these rows, in the transaction that writes them."""
        with connection.cursor() as cursor:
            cursor.execute(
                """
                INSERT INTO records_sighting (kind, row_id, seen_in_id, seen_at)
                SELECT %s, row_id, %s, now() FROM unnest(%s::bigint[]) AS row_id ORDER BY row_id
                ON CONFLICT (kind, row_id) DO UPDATE
                    SET seen_in_id = EXCLUDED.seen_in_id, seen_at = EXCLUDED.seen_at
                """,
                [self.of.kind, self.of.pk, row_ids],
            )

    def flush(self, tally: Tally) -> None:
        """Write the notes so far, and now and then that the import goes on, and how far it is."""
        with self._lock:
            notes, self._pending = self._pending, []
        if notes:
            ImportNote.objects.bulk_create(notes, batch_size=500)
        if time.monotonic() - self._beat < BEAT_SECONDS:
            return
        self._beat = time.monotonic()
        Import.objects.filter(pk=self.of.pk).update(beat_at=timezone.now(), **_counts(tally))

    def finish(self, tally: Tally, *, error: str = "") -> None:
        """Write the counts and how it ended."""
        self.flush(tally)
        for name, value in _counts(tally).items():
            setattr(self.of, name, value)
        self.of.reasons = tally.report()
        self.of.state = Import.State.FAILED if error else Import.State.FINISHED
        self.of.error, self.of.finished_at, self.of.beat_at = error, timezone.now(), timezone.now()
        self.of.save()
        _unlock(self.of.pk)


def begin(
    *, kind: str, source: str, file: str, digest: str, mapping: str, by: str, complete: bool
) -> tuple[History, list[str]]:
    """Begin the record of an import; return it and what the person who started it should know."""
    notes = []
    earlier = Import.objects.filter(kind=kind, source=source)
    note_interrupted(source)
    if earlier.filter(state=Import.State.RUNNING).exists():
        notes.append(f"another import of {source} is running; both go on")
    before = earlier.first()
    continues = None
    if (
        before is not None
        and before.digest == digest
        and before.state in (Import.State.INTERRUPTED, Import.State.FAILED)
    ):
        continues = before
        notes.append(
            f"continues import {before.pk}, which ended after {before.rows:,} rows; rows that are in are "
            "not touched"
        )
    started = Import.objects.create(
        kind=kind,
        source=source,
        file=file[:2_000],
        digest=digest,
        mapping=mapping,
        by=by,
        complete=complete,
        continues=continues,
    )
    _lock(started.pk)
    return History(started), notes


def note_interrupted(*sources: str) -> None:
    """Find imports of these sources that ended without saying so, since their process or its host died."""
    running = Import.objects.filter(source__in=sources, state=Import.State.RUNNING)
    dead = []
    for pk, beat_at in running.values_list("pk", "beat_at"):
        is_free = _lock(pk)
        if is_free:
            _unlock(pk)
        if is_free or beat_at < timezone.now() - SILENT:
            dead.append(pk)
    running.filter(pk__in=dead).update(state=Import.State.INTERRUPTED)


def _lock(pk: int) -> bool:
    """Take the advisory lock of an import. PostgreSQL releases it when the process ends, however it ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK_CLASS, pk % 2**31])
        return bool(cursor.fetchone()[0])


def _unlock(pk: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK_CLASS, pk % 2**31])


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Missing:
    """Open rows that a complete file of their source lacks. `refusal`: why they stay open, else ""."""

    ids: list[int]
    refusal: str = ""


def missing_rows(history: History, rows: Any, *, max_share: float) -> Missing:
    """Find the rows of `rows` (a queryset of the source's open rows) that the file does not hold.

    Rows that the file holds but that were rejected are not missing. Refuses where rows without an id could
    not be read, since any of them may be one that seems missing, and where more than `max_share` of the rows
    would be closed.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT row_id FROM records_sighting WHERE kind = %s AND seen_in_id = %s",
            [history.of.kind, history.of.pk],
        )
        seen = {row[0] for row in cursor.fetchall()}
    present: Iterable[tuple[int, str]] = rows.values_list("pk", "external_id")
    total, ids = 0, []
    for pk, external_id in present:
        total += 1
        if pk not in seen and external_id not in history.rejected_ids:
            ids.append(pk)
    if not ids:
        return Missing([])
    if history.unnamed_rejects:
        return Missing(
            ids,
            (
                f"{history.unnamed_rejects:,} rows of the file could not be read, and any of them may "
                "be one of these; mend them first"
            ),
        )
    if len(ids) > max_share * total:
        return Missing(
            ids,
            (
                f"{len(ids):,} of {total:,} open rows is more than --max-closed {max_share:g}; repeat "
                "it with a larger share if that is right"
            ),
        )
    return Missing(ids)


def _counts(tally: Tally) -> dict[str, int]:
    return {
        "rows": tally.read,
        "inserted": tally.inserted,
        "updated": tally.updated,
        "unchanged": tally.unchanged,
        "repeated": tally.repeated,
        "rejected": tally.rejected,
        "conflicts": tally.conflicts,
        "closed": tally.closed,
    }


def _bounded(row: Any) -> Any:
    """A row as JSON that PostgreSQL takes; a very long one is left to the rejects file."""
    import orjson

    try:
        text = orjson.dumps(row, default=str).decode()
    except (TypeError, orjson.JSONEncodeError):
        return str(row).encode("utf-8", "replace").decode().replace("\x00", "")[:MAX_ROW_CHARACTERS]
    if len(text) > MAX_ROW_CHARACTERS:
        return None
    return orjson.loads(text.replace("\\u0000", ""))
