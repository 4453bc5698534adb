"""From rows of a file to records: mapped, validated, written in batches; what cannot be written is rejected."""

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

from apps.records.importing.errors import ImportFileError, Rejected
from apps.records.importing.mapping import Mapping
from apps.records.importing.readers import SourceRow
from apps.records.inputs import RecordInput
from apps.records.refusals import refusals
from apps.records.services import last_of_each_key
from apps.records.upsert import Upserted
from apps.skills.finder import SkillFinder
from apps.skills.services import current_finder

BATCH = 1_000  # rows in one transaction
WRITERS = 2  # batches at a time: while one is copied, PostgreSQL works on the other
BATCH_CHARACTERS = 8_000_000  # …fewer where they are long, which bounds memory


@dataclass
class Tally:
    """What became of the rows."""

    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    repeated: int = 0
    rejected: int = 0
    columns_seen: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Line:
    """A valid row and where it stood."""

    number: int
    form: RecordInput


@dataclass
class Loader:
    """Imports one stream of rows. `write` is the record's upsert service; `on_reject` gets each refused row."""

    form: type[RecordInput]
    mapping: Mapping
    write: Callable[..., Upserted]
    on_reject: Callable[[Rejected], None]
    tally: Tally = field(default_factory=Tally)
    _finder: SkillFinder = field(default_factory=current_finder)
    _lock: threading.Lock = field(default_factory=threading.Lock)  # of the tally and the rejects

    def run(self, rows: Iterable[SourceRow | Rejected]) -> Tally:
        """Writes every valid row. A row that the database refuses costs no other row of its batch.

        Batches are written over connections of their own, in the caller's transaction where there is one.
        """
        with _writers() as writers:
            for batch, writer in zip(_one_ahead(self._batches(rows)), cycle(writers)):
                forms = last_of_each_key([line.form for line in batch])
                lines = {(line.form.source, line.form.external_id): line.number for line in batch}
                with self._lock:
                    self.tally.repeated += len(batch) - len(forms)
                writer.wait()
                for other in writers:  # a row that is named again must come after
                    if not other.keys.isdisjoint(lines):
                        other.wait()
                writer.start(lines.keys(), self._write, forms, lines)
        return self.tally

    def _batches(self, rows: Iterable[SourceRow | Rejected]) -> Iterator[list[Line]]:
        batch: list[Line] = []
        characters = 0
        try:
            for row in rows:
                self.tally.read += 1
                line = self._validated(row)
                if line is None:
                    continue
                batch.append(line)
                characters += len(line.form.text())
                if len(batch) >= BATCH or characters >= BATCH_CHARACTERS:
                    yield batch
                    batch, characters = [], 0
        except (EOFError, OSError, zlib.error, ImportFileError):
            yield batch  # what was read before the file broke is written before that is said
            raise
        if batch:
            yield batch

    def _validated(self, row: SourceRow | Rejected) -> Line | None:
        if isinstance(row, Rejected):
            self._reject(row)
            return None
        self.tally.columns_seen.update(row.values)
        mapped = self.mapping.apply(row.values)
        try:
            form = self.form.model_validate(mapped)
        except ValidationError as error:
            first = next(refusals(error, self.form))
            key = str(mapped.get("external_id", ""))[:200]
            self._reject(Rejected(row.line, first.field, first.reason, key))
            return None
        form.found_skills(self._finder)
        return Line(row.line, form)

    def _write(self, forms: Sequence[RecordInput], lines: dict[tuple[str, str], int]) -> None:
        try:
            upserted = self.write(forms, finder=self._finder)
        except (DataError, IntegrityError) as error:
            if len(forms) == 1:
                key = forms[0].source, forms[0].external_id
                reason = str(error).strip().splitlines()[0]
                self._reject(Rejected(lines[key], "", f"PostgreSQL refused the row: {reason}", key[1]))
                return
            half = len(forms) // 2
            self._write(forms[:half], lines)
            self._write(forms[half:], lines)
            return
        with self._lock:
            self.tally.inserted += len(upserted.inserted)
            self.tally.updated += len(upserted.updated)
            self.tally.unchanged += len(upserted.unchanged)

    def _reject(self, rejected: Rejected) -> None:
        with self._lock:
            self.tally.rejected += 1
            self.on_reject(rejected)


class _Writer:
    """Writes one batch at a time, in a thread of its own, so over a connection of its own; at once without `pool`."""

    def __init__(self, pool: ThreadPoolExecutor | None) -> None:
        self.keys: AbstractSet[tuple[str, str]] = frozenset()
        self._pool = pool
        self._going_on: Future[None] | None = None

    def start(self, keys: AbstractSet[tuple[str, str]], write: Callable[..., None], *arguments: Any) -> None:
        if self._pool is None:
            write(*arguments)
            return
        self.keys = keys
        self._going_on = self._pool.submit(write, *arguments)

    def wait(self) -> None:
        """Raises what the writing raised."""
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


def rejected_line(file: str, rejected: Rejected) -> bytes:
    """One line of a rejects file. The row itself is not in it: it may be somebody's résumé."""
    content: dict[str, Any] = {"file": file, "line": rejected.line}
    if rejected.external_id:
        content["external_id"] = rejected.external_id
    if rejected.field:
        content["field"] = rejected.field
    return orjson.dumps(content | {"reason": rejected.reason}) + b"\n"
