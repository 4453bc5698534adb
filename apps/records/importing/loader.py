"""Load the rows of a file: map, validate and write them in batches, and reject the rows with faults."""

import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import orjson
from django.db import DataError, IntegrityError, connection
from pydantic import ValidationError

from apps.records.importing.errors import ImportFileError, RejectedRow
from apps.records.importing.mapping import Mapping
from apps.records.importing.readers import SourceRow
from apps.records.input_errors import input_errors
from apps.records.inputs import RecordInput
from apps.records.upsert import UpsertResult
from apps.skills.finder import SkillFinder
from apps.skills.services import current_finder, find_skills

MAX_BATCH_ROWS = 1_000  # rows in one transaction
MAX_BATCH_CHARACTERS = 8_000_000  # of the texts in one batch, which bounds memory
WRITERS = 2  # batches written at a time: while one is copied, PostgreSQL works on the other


@dataclass
class Tally:
    """Counts of rows by outcome, and the columns that any row had."""

    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    repeated: int = 0
    rejected: int = 0
    columns_seen: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Line:
    """A valid row, its line in the file, and the ids of the skills that its text names."""

    number: int
    form: RecordInput
    found: list[int]

    @property
    def key(self) -> tuple[str, str]:
        """What identifies the stored row."""
        return self.form.source, self.form.external_id


@dataclass
class Loader:
    """Imports one stream of rows with the upsert service `write`; `on_reject` gets each rejected row."""

    form: type[RecordInput]
    mapping: Mapping
    write: Callable[..., UpsertResult]
    on_reject: Callable[[RejectedRow], None]
    tally: Tally = field(default_factory=Tally)
    _finder: SkillFinder = field(default_factory=current_finder)
    _lock: threading.Lock = field(default_factory=threading.Lock)  # guards the tally and the rejects

    def run(self, rows: Iterable[SourceRow | RejectedRow]) -> Tally:
        """Write every valid row and return the counts. A row that the database refuses costs no other row.

        Each writer has a connection of its own, unless the caller has opened a transaction: then that one is
        used.
        """
        with _writers() as writers:
            for batch, writer in zip(_read_ahead(self._batches(rows)), cycle(writers)):
                lines = {line.key: line for line in batch}  # of repeated rows the last one counts
                with self._lock:
                    self.tally.repeated += len(batch) - len(lines)
                writer.wait()
                for other in writers:  # a repeated row must be written after its predecessor
                    if not other.keys.isdisjoint(lines):
                        other.wait()
                writer.start(lines.keys(), self._write, list(lines.values()))
        return self.tally

    def _batches(self, rows: Iterable[SourceRow | RejectedRow]) -> Iterator[list[Line]]:
        valid: list[tuple[int, RecordInput]] = []
        texts: list[str] = []
        characters = 0
        try:
            for row in rows:
                self.tally.read += 1
                form = self._validated(row)
                if form is None:
                    continue
                valid.append((row.line, form))
                texts.append(form.text())
                characters += len(texts[-1])
                if len(texts) >= MAX_BATCH_ROWS or characters >= MAX_BATCH_CHARACTERS:
                    yield self._searched(valid, texts)
                    valid, texts, characters = [], [], 0
        except (EOFError, OSError, zlib.error, ImportFileError):
            yield self._searched(valid, texts)  # write the rows before the fault, then report it
            raise
        if valid:
            yield self._searched(valid, texts)

    def _searched(self, valid: list[tuple[int, RecordInput]], texts: list[str]) -> list[Line]:
        found = find_skills(texts, finder=self._finder)
        return [Line(number, form, ids) for (number, form), ids in zip(valid, found, strict=True)]

    def _validated(self, row: SourceRow | RejectedRow) -> RecordInput | None:
        if isinstance(row, RejectedRow):
            self._reject(row)
            return None
        self.tally.columns_seen.update(row.values)
        mapped = self.mapping.apply(row.values)
        try:
            return self.form.model_validate(mapped)
        except ValidationError as error:
            first = next(input_errors(error, self.form))
            key = str(mapped.get("external_id", ""))[:200]
            self._reject(RejectedRow(row.line, first.field, first.reason, key))
            return None

    def _write(self, lines: Sequence[Line]) -> None:
        forms, found = [line.form for line in lines], [line.found for line in lines]
        try:
            upserted = self.write(forms, found=found, finder=self._finder)
        except (DataError, IntegrityError) as error:
            if len(lines) == 1:
                [line] = lines
                reason = str(error).strip().splitlines()[0]
                self._reject(
                    RejectedRow(line.number, "", f"PostgreSQL refused the row: {reason}", line.key[1])
                )
                return
            half = len(lines) // 2
            self._write(lines[:half])
            self._write(lines[half:])
            return
        with self._lock:
            self.tally.inserted += len(upserted.inserted)
            self.tally.updated += len(upserted.updated)
            self.tally.unchanged += len(upserted.unchanged)

    def _reject(self, rejected: RejectedRow) -> None:
        with self._lock:
            self.tally.rejected += 1
            self.on_reject(rejected)


class _Writer:
    """Writes one batch at a time in a thread with a connection of its own; without `pool` in the caller's."""

    def __init__(self, pool: ThreadPoolExecutor | None) -> None:
        self.keys: AbstractSet[tuple[str, str]] = frozenset()
        self._pool = pool
        self._writing: Future[None] | None = None

    def start(self, keys: AbstractSet[tuple[str, str]], write: Callable[..., None], *arguments: Any) -> None:
        """Start writing a batch of rows with these keys."""
        if self._pool is None:
            write(*arguments)
            return
        self.keys = keys
        self._writing = self._pool.submit(write, *arguments)

    def wait(self) -> None:
        """Wait for the batch that is being written; raise its exception if it failed."""
        writing, self._writing, self.keys = self._writing, None, frozenset()
        if writing is not None:
            writing.result()


@contextmanager
def _writers() -> Iterator[list[_Writer]]:
    """Yield the writers; before returning wait for their last batches, also where the caller raises."""
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


def _read_ahead(batches: Iterator[list[Line]]) -> Iterator[list[Line]]:
    """Read, validate and search the next batch in a thread while PostgreSQL writes this one."""
    with ThreadPoolExecutor(1, thread_name_prefix="import") as pool:
        upcoming = pool.submit(next, batches, None)
        while (batch := upcoming.result()) is not None:
            upcoming = pool.submit(next, batches, None)
            yield batch


def rejected_line(file: str, rejected: RejectedRow) -> bytes:
    """Return one line of a rejects file. It leaves the row itself out, which may be somebody's résumé."""
    content: dict[str, Any] = {"file": file, "line": rejected.line}
    if rejected.external_id:
        content["external_id"] = rejected.external_id
    if rejected.field:
        content["field"] = rejected.field
    return orjson.dumps(content | {"reason": rejected.reason}) + b"\n"
