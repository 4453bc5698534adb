"""From rows of a file to records: mapped, validated, written in batches; what cannot be written is rejected."""

import multiprocessing
import signal
import traceback
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, cast

import orjson
from django.db import DataError, IntegrityError
from pydantic import ValidationError

from apps.records.importing.errors import ImportFileError, Rejected
from apps.records.importing.mapping import Mapping
from apps.records.importing.readers import SourceRow
from apps.records.inputs import RecordInput, reject
from apps.records.services import last_of_each_key
from apps.records.upsert import Upserted
from apps.skills.finder import SkillFinder
from apps.skills.services import current_finder

BATCH = 1_000  # rows in one transaction
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
class Batch:
    """Rows as they were read: the valid ones, the refused ones, and how many octets of the file they took."""

    lines: list[Line] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    columns: set[str] = field(default_factory=set)
    octets: int = 0

    @property
    def read(self) -> int:
        return len(self.lines) + len(self.rejected)


@dataclass
class Loader:
    """Imports one stream of rows. `write` is the record's upsert service; `on_reject` gets each refused row.

    `on_progress` is given the octets of the file that were consumed since its last call.
    """

    form: type[RecordInput]
    mapping: Mapping
    write: Callable[..., Upserted]
    on_reject: Callable[[Rejected], None]
    on_progress: Callable[[int], None] = lambda _: None
    tally: Tally = field(default_factory=Tally)
    _finder: SkillFinder = field(default_factory=current_finder)
    _octets: int = 0

    def has_read(self, octets: int) -> None:
        """For the reader of the file to call as it goes on."""
        self._octets += octets

    def run(self, rows: Iterable[SourceRow | Rejected]) -> Tally:
        """Writes every valid row. A row that the database refuses costs no other row of its batch.

        The rows are read, validated and searched in a process of their own, one batch ahead of PostgreSQL.
        """
        for batch in _one_ahead(self._batches(rows)):
            self.tally.read += batch.read
            self.tally.columns_seen |= batch.columns
            for rejected in batch.rejected:
                self._reject(rejected)
            forms = last_of_each_key([line.form for line in batch.lines])
            self.tally.repeated += len(batch.lines) - len(forms)
            if forms:
                self._write(
                    forms, {(line.form.source, line.form.external_id): line.number for line in batch.lines}
                )
            self.on_progress(batch.octets)
        return self.tally

    def _batches(self, rows: Iterable[SourceRow | Rejected]) -> Iterator[Batch]:
        batch, characters = Batch(), 0
        try:
            for row in rows:
                characters += self._add(batch, row)
                if batch.read >= BATCH or characters >= BATCH_CHARACTERS:
                    yield self._ended(batch)
                    batch, characters = Batch(), 0
        except (EOFError, OSError, zlib.error, ImportFileError):
            yield self._ended(batch)  # what was read before the file broke is written before that is said
            raise
        yield self._ended(batch)

    def _ended(self, batch: Batch) -> Batch:
        batch.octets, self._octets = self._octets, 0
        return batch

    def _add(self, batch: Batch, row: SourceRow | Rejected) -> int:
        """Puts the row where it belongs; the characters it takes there."""
        if isinstance(row, Rejected):
            batch.rejected.append(row)
            return 0
        batch.columns.update(row.values)
        mapped = self.mapping.apply(row.values)
        try:
            form = self.form.model_validate(mapped)
        except ValidationError as error:
            batch.rejected.append(reject(error, line=row.line, values=mapped))
            return 0
        form.found_skills(self._finder)
        batch.lines.append(Line(row.line, form))
        return len(form.text())

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
        self.tally.inserted += len(upserted.inserted)
        self.tally.updated += len(upserted.updated)
        self.tally.unchanged += len(upserted.unchanged)

    def _reject(self, rejected: Rejected) -> None:
        self.tally.rejected += 1
        self.on_reject(rejected)


def _one_ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The batches, each made while who iterates is at work on the one before; what making one raises is raised here.

    In a forked process, not in a thread: both sides are Python at work, and an interpreter runs one of them at a time.
    The process has copies of this one's connections and uses none of them. It ends with this one: its pipe breaks.
    """
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe(duplex=False)
    process = fork.Process(target=_send_all, args=(batches, here, there), daemon=True)
    process.start()
    there.close()
    try:
        while (batch := _received(here)) is not None:
            yield batch
    finally:
        here.close()
        process.join()


def _send_all(batches: Iterator[Batch], here: Connection, there: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the importer
    here.close()  # else the pipe would not break
    with suppress(BrokenPipeError):
        try:
            for batch in batches:
                there.send(batch)  # waits until the one before was taken
            there.send(None)
        except BrokenPipeError:
            raise
        except Exception as error:  # noqa: BLE001  raised on the other side
            error.add_note(traceback.format_exc())
            there.send(error)


def _received(here: Connection) -> Batch | None:
    try:
        received = here.recv()
    except EOFError as error:
        raise ImportFileError("the process that reads the file was killed; is memory short?") from error
    if isinstance(received, Exception):
        raise received
    return cast("Batch | None", received)


def rejected_line(file: str, rejected: Rejected) -> bytes:
    """One line of a rejects file. The row itself is not in it: it may be somebody's résumé."""
    content: dict[str, Any] = {"file": file, "line": rejected.line}
    if rejected.external_id:
        content["external_id"] = rejected.external_id
    if rejected.field:
        content["field"] = rejected.field
    return orjson.dumps(content | {"reason": rejected.reason}) + b"\n"
