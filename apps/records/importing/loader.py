"""Import the rows of a file as records: map, read and validate them, and write them in batches."""

import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import cycle
from typing import Any, Protocol

from django.db import DataError, IntegrityError, connection, transaction
from psycopg.errors import ForeignKeyViolation
from pydantic import ValidationError

from apps.records.hand_edits import Conflict
from apps.records.importing.cells import CellOptions, read_cells
from apps.records.importing.errors import Reason, Rejected
from apps.records.importing.mapping import Mapping
from apps.records.importing.tally import Tally
from apps.records.input_errors import input_errors
from apps.records.inputs import RecordInput
from apps.records.reading.rows import ImportFileError, SourceRow, UnreadableRow
from apps.records.services import WriteResult
from apps.skills.finder import SkillFinder
from apps.skills.services import current_finder, find_skills

MAX_BATCH_ROWS = 1_000  # in one transaction
WRITERS = 2  # batches at a time: while one is copied, PostgreSQL works on the other
MAX_BATCH_CHARACTERS = 8_000_000  # fewer rows where they are long, which bounds memory
# A row without these is rejected. In another field, a cell that cannot be used is left out.
REQUIRED = frozenset({"source", "external_id"})


class Write(Protocol):
    """The upsert service of one kind of record."""

    def __call__(
        self,
        inputs: Sequence[Any],
        *,
        found: Sequence[list[int]],
        finder: SkillFinder,
        source_wins: AbstractSet[str],
    ) -> WriteResult:
        """Write the rows in one transaction; see `RecordWriter.write`."""


@dataclass(frozen=True)
class Line:
    """A valid row, where it stood, what it was, and the skills that its text names."""

    number: int
    form: RecordInput
    row: dict[str, Any]
    found: list[int]
    reasons: tuple[Reason, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """What the row is recognised by."""
        return self.form.source, self.form.external_id


@dataclass
class Listener:
    """Callbacks for rejected rows, conflicts with edits by hand, ids of stored rows, and batches.

    `on_batch` is called in the caller's thread, `on_written` in the transaction that wrote the rows, the
    others in any thread.
    """

    on_reject: Callable[[Rejected], None] = lambda _: None
    on_conflict: Callable[[Conflict], None] = lambda _: None
    on_written: Callable[[list[int]], None] = lambda _: None
    on_batch: Callable[[Tally], None] = lambda _: None


@dataclass
class Loader:
    """Imports one stream of rows. `form` is the record's form of an imported row, `write` its upsert service.

    With `is_dry_run` every batch is written and taken back, so that the counts are true and nothing changes.
    With `gives_all` a row gives every field: what it does not hold is emptied.
    """

    form: type[RecordInput]
    mapping: Mapping
    cells: CellOptions
    write: Write
    listener: Listener = field(default_factory=Listener)
    is_dry_run: bool = False
    gives_all: bool = False
    tally: Tally = field(default_factory=Tally)
    _finder: SkillFinder = field(default_factory=current_finder)
    _lock: threading.Lock = field(default_factory=threading.Lock)  # of the tally and the listener

    def run(self, rows: Iterable[SourceRow | UnreadableRow]) -> Tally:
        """Write every valid row; return the counts. A row that the database refuses costs no other row.

        Batches are written over connections of their own, in the caller's transaction where there is one.
        """
        with _writers() as writers:
            for batch, writer in zip(_one_ahead(self._batches(rows)), cycle(writers)):
                lines = {line.key: line for line in batch}  # of repeated rows the last one counts
                with self._lock:
                    self.tally.repeated += len(batch) - len(lines)
                writer.wait()
                for other in writers:  # a row that is named again must come after
                    if not other.keys.isdisjoint(lines):
                        other.wait()
                writer.start(lines.keys(), self._write, list(lines.values()))
                self.listener.on_batch(self.tally)
        return self.tally

    def read(self, row: SourceRow | UnreadableRow) -> tuple[RecordInput, tuple[Reason, ...]] | None:
        """Return the row as it would be stored and what was left out, or None for a rejected row."""
        if isinstance(row, UnreadableRow):
            self._reject(Rejected(row.line, (Reason("", row.reason),), row.external_id, row.raw or None))
            return None
        self.tally.columns_seen.update(row.values)
        values, unread = read_cells(self.mapping.apply(row.values), self.cells)
        for name in self.mapping.emptied(row.values):
            if name in self.form.model_fields:
                values[name] = _empty(self.form, name)
        reasons = [Reason(each.field, each.reason) for each in unread]
        form, invalid = self._validated(values)
        reasons += invalid
        rejects = form is None or any(self._costs_row(reason.field) for reason in reasons)
        with self._lock:
            for reason in reasons:
                self.tally.count(reason, line=row.line, rejects=rejects)
            if not rejects:
                self.tally.unread += len(reasons)
                self.tally.filled.update(values.keys())
        if rejects:
            self._reject(
                Rejected(row.line, tuple(reasons), str(values.get("external_id", ""))[:200], row.values)
            )
            return None
        if form is None:
            return None
        if self.gives_all:
            form = form.model_construct(_fields_set=set(self.form.model_fields), **form.__dict__)
        return form, tuple(reasons)

    def _validated(self, values: dict[str, Any]) -> tuple[RecordInput | None, list[Reason]]:
        """The row's form without wrong optional fields; None if a required field is wrong."""
        reasons: list[Reason] = []
        while True:
            try:
                return self.form.model_validate(values), reasons
            except ValidationError as error:
                found = [Reason(each.field, each.reason) for each in input_errors(error, self.form)]
                reasons += found
                wrong = {each.field for each in found} & values.keys()
                if not wrong or wrong & REQUIRED:
                    return None, reasons
                values = {name: value for name, value in values.items() if name not in wrong}

    def _costs_row(self, name: str) -> bool:
        strict = self.mapping.options.reject_on_error
        return name in REQUIRED or name in strict or "*" in strict

    def _batches(self, rows: Iterable[SourceRow | UnreadableRow]) -> Iterator[list[Line]]:
        valid: list[tuple[SourceRow, RecordInput, tuple[Reason, ...]]] = []
        texts: list[str] = []
        characters = 0
        try:
            for row in rows:
                self.tally.read += 1
                read = self.read(row)
                if read is None or not isinstance(row, SourceRow):
                    continue
                form, reasons = read
                valid.append((row, form, reasons))
                texts.append(form.text())
                characters += len(texts[-1])
                if len(texts) >= MAX_BATCH_ROWS or characters >= MAX_BATCH_CHARACTERS:
                    yield self._searched(valid, texts)
                    valid, texts, characters = [], [], 0
        except (EOFError, OSError, zlib.error, ImportFileError):
            # What was read before the file broke is written before the fault is reported.
            yield self._searched(valid, texts)
            raise
        if valid:
            yield self._searched(valid, texts)

    def _searched(
        self, valid: list[tuple[SourceRow, RecordInput, tuple[Reason, ...]]], texts: list[str]
    ) -> list[Line]:
        found = find_skills(texts, finder=self._finder)
        return [
            Line(row.line, form, row.values, ids, reasons)
            for (row, form, reasons), ids in zip(valid, found, strict=True)
        ]

    def _write_again(self, lines: Sequence[Line]) -> None:
        """Write rows whose skills were found with a dictionary of which a skill is gone by now."""
        self._finder = current_finder()
        found = find_skills([line.form.text() for line in lines], finder=self._finder)
        self._write([replace(line, found=ids) for line, ids in zip(lines, found, strict=True)], is_retry=True)

    def _write(self, lines: Sequence[Line], *, is_retry: bool = False) -> None:
        forms, found = [line.form for line in lines], [line.found for line in lines]
        try:
            with transaction.atomic():
                result = self.write(
                    forms, found=found, finder=self._finder, source_wins=self.mapping.options.source_wins
                )
                if not self.is_dry_run:
                    self.listener.on_written(result.upserted.all)
                transaction.set_rollback(self.is_dry_run)
        except (DataError, IntegrityError) as error:
            if isinstance(error.__cause__, ForeignKeyViolation) and not is_retry:
                self._write_again(lines)
                return
            if len(lines) == 1:
                reason = Reason("", f"PostgreSQL refused the row: {str(error).strip().splitlines()[0]}")
                self._reject_line(lines[0], reason)
                return
            half = len(lines) // 2
            self._write(lines[:half])
            self._write(lines[half:])
            return
        by_key = {line.key: line for line in lines}
        for each in result.incomplete:
            line = by_key[each.key]
            # A cell that could not be read says more than that its field is missing.
            of_cell = [reason for reason in line.reasons if reason.field == each.field]
            self._reject_line(line, *(of_cell or [Reason(each.field, each.reason)]))
        with self._lock:
            self.tally.inserted += len(result.inserted)
            self.tally.updated += len(result.updated)
            self.tally.unchanged += len(result.unchanged)
            self.tally.conflicts += len(result.conflicts)
            for conflict in result.conflicts:
                self.listener.on_conflict(conflict)

    def _reject_line(self, line: Line, *reasons: Reason) -> None:
        with self._lock:
            for reason in reasons:
                self.tally.count(reason, line=line.number, rejects=True)
        self._reject(Rejected(line.number, reasons, line.key[1], line.row))

    def _reject(self, rejected: Rejected) -> None:
        with self._lock:
            self.tally.rejected += 1
            if rejected.row is None or isinstance(rejected.row, str):
                self.tally.count(rejected.reasons[0], line=rejected.line, rejects=True)
            self.listener.on_reject(rejected)


def _empty(form: type[RecordInput], name: str) -> Any:
    """What an empty cell makes of a field where it deletes: the field's default."""
    return form.model_fields[name].get_default(call_default_factory=True)


class _Writer:
    """Writes one batch at a time, in a thread and connection of its own; without `pool`, in the caller's."""

    def __init__(self, pool: ThreadPoolExecutor | None) -> None:
        self.keys: AbstractSet[tuple[str, str]] = frozenset()
        self._pool = pool
        self._going_on: Future[None] | None = None

    def start(self, keys: AbstractSet[tuple[str, str]], write: Callable[..., None], *arguments: Any) -> None:
        """Begin to write; the batch before must have been waited for."""
        if self._pool is None:
            write(*arguments)
            return
        self.keys = keys
        self._going_on = self._pool.submit(write, *arguments)

    def wait(self) -> None:
        """Wait for the batch that is being written. Raises what the writing raised."""
        going_on, self._going_on, self.keys = self._going_on, None, frozenset()
        if going_on is not None:
            going_on.result()


@contextmanager
def _writers() -> Iterator[list[_Writer]]:
    """WRITERS of them; what they have begun is finished before they go, also where the caller raises."""
    if connection.in_atomic_block:
        yield [_Writer(None)]
        return
    with ExitStack() as stack:
        writers = []
        for number in range(WRITERS):
            pool = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix=f"write-{number}"))
            stack.callback(pool.submit, connection.close)
            writers.append(_Writer(pool))
        for writer in writers:
            stack.callback(writer.wait)
        yield writers


def _one_ahead(batches: Iterator[list[Line]]) -> Iterator[list[Line]]:
    """Reads, validates and searches the next batch in a thread while PostgreSQL writes this one."""
    with ThreadPoolExecutor(1, thread_name_prefix="import") as pool:
        coming = pool.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, batches, None)
            yield batch
