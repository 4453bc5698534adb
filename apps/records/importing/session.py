"""One import from its first row to its record: read, write, close what is missing."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.utils import timezone

from apps.records.importing.cells import CellOptions
from apps.records.importing.errors import Rejected
from apps.records.importing.history import History, begin, digest_of, missing_rows
from apps.records.importing.loader import Listener, Loader, Write
from apps.records.importing.mapping import Mapping, as_toml
from apps.records.importing.mapping_choice import Choice, date_order
from apps.records.importing.tally import Tally
from apps.records.inputs import RecordInput
from apps.records.normalizing.errors import UnreadableCellError
from apps.records.normalizing.unknown import NULL_WORDS
from apps.records.reading.fetching import Validators
from apps.records.reading.opening import Open, open_rows
from apps.records.reading.rows import ImportFileError, Reading, ReadingOptions


@dataclass(frozen=True)
class Job:
    """One file to import, and how. `name` is what the person wrote, `path` the file that is read."""

    kind: str
    form: type[RecordInput]
    write: Write
    name: str
    path: Path | str
    choice: Choice
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    by: str = ""
    is_dry_run: bool = False
    replaces: bool = False
    complete: bool = False
    max_closed: float = 0.3
    validators: Validators = field(default_factory=Validators)
    open: Open = open_rows
    open_rows_of: Callable[[str], Any] = lambda _: None
    close: Callable[[list[int]], int | None] = lambda _: None

    @property
    def source(self) -> str:
        """The source of all rows, or a name that says that the rows name theirs."""
        return str(self.choice.mapping.defaults.get("source", "of the rows"))

    def merged_reading(self) -> ReadingOptions:
        """Return how to read the file: by the command line, then by the mapping."""
        said = {name: value for name, value in vars(self.reading).items() if value}
        return replace(self.choice.mapping.reading, **said)


@dataclass
class Outcome:
    """What became of an import."""

    tally: Tally
    reading: Reading
    seconds: float
    notes: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    import_id: int | None = None


MAX_SHOWN = 5  # rejected rows that are printed


def cell_options(job: Job) -> CellOptions:
    """Return how the job's cells are read. Raises ImportFileError where the dates contradict each other."""
    options = job.choice.mapping.options
    try:
        order = options.dates or date_order(job.path, job.choice, job.merged_reading())
    except UnreadableCellError as error:
        raise ImportFileError(str(error)) from error
    zone = timezone.get_default_timezone()
    return CellOptions(
        now=timezone.now(),
        time_zone=zone,
        date_order=order,
        null_words=NULL_WORDS | options.null_words | settings.IMPORT_NULL_WORDS,
    )


def loader_of(job: Job, listener: Listener | None = None) -> Loader:
    """Return what reads and writes the job's rows."""
    mapping = job.choice.mapping
    return Loader(
        job.form,
        mapping,
        cell_options(job),
        job.write,
        listener or Listener(),
        is_dry_run=job.is_dry_run,
        gives_all=job.replaces,
    )


def run_job(job: Job, *, on_reject: Callable[[bytes], object], progress: Callable[[int], object]) -> Outcome:
    """Import one file; return what became of it. Rejected rows go to `on_reject` as lines of a rejects file.

    Raises ImportFileError where the file cannot be read as a whole; what was read before that is stored, and
    its record says so.
    """
    outcome = Outcome(Tally(), Reading(), 0.0)
    started = timezone.now()
    history = None if job.is_dry_run else _begin(job, outcome)
    listener = Listener(
        on_reject=lambda rejected: _rejected(rejected, outcome, history, on_reject, job.name),
        on_conflict=history.conflict if history else lambda _: None,
        on_written=history.seen if history else lambda _: None,
        on_batch=history.flush if history else lambda _: None,
    )
    try:
        loader = loader_of(job, listener)
        outcome.tally = loader.tally
        with job.open(job.path, job.merged_reading(), progress=progress) as (rows, reading):
            outcome.reading = reading
            with _rare_collections():
                loader.run(rows)
    except ImportFileError as error:
        if history:
            history.finish(outcome.tally, error=str(error))
        raise
    outcome.tally.columns_seen.update(outcome.reading.columns)  # also those without a value in any row
    outcome.seconds = (timezone.now() - started).total_seconds()
    _judge(job, outcome)
    if job.complete and history:
        _close_missing(job, history, outcome)
    if history:
        history.of.etag, history.of.last_modified = (
            job.validators.etag[:300],
            job.validators.last_modified[:100],
        )
        history.finish(outcome.tally)
    return outcome


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Let the garbage collector run rarely.

    The thousands of objects of a batch live until it is written, and looking through them finds nothing.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _begin(job: Job, outcome: Outcome) -> History:
    path = job.path if isinstance(job.path, Path) and job.path.is_file() else None
    history, notes = begin(
        kind=job.kind,
        source=job.source,
        file=job.name,
        digest=digest_of(path) if path else "",
        mapping=as_toml(job.choice.mapping),
        by=job.by,
        complete=job.complete,
    )
    outcome.notes += notes
    outcome.import_id = history.of.pk
    return history


def _rejected(
    rejected: Rejected,
    outcome: Outcome,
    history: History | None,
    on_reject: Callable[[bytes], object],
    name: str,
) -> None:
    on_reject(rejected_line(rejected, name))
    if len(outcome.rejected) < MAX_SHOWN:
        outcome.rejected.append(rejected)
    if history:
        history.reject(rejected)


def rejected_line(rejected: Rejected, name: str) -> bytes:
    """Return one line of a rejects file: the row as it was, with its reasons. The file can be imported."""
    content = {
        "file": name,
        "line": rejected.line,
        "reasons": [{"field": each.field, "reason": each.text} for each in rejected.reasons],
        "row": rejected.row if rejected.row is not None else {},
    }
    if rejected.external_id:
        content["external_id"] = rejected.external_id
    return orjson.dumps(content, default=str, option=orjson.OPT_NON_STR_KEYS) + b"\n"


def _judge(job: Job, outcome: Outcome) -> None:
    """Say what went wrong so that the exit status should tell."""
    tally, mapping = outcome.tally, job.choice.mapping
    if tally.rejected:
        outcome.complaints.append(f"{tally.rejected:,} rows were rejected; all others are {_imported(job)}")
    absent = _absent(mapping, tally)
    if absent:
        outcome.complaints.append(
            f"no row has the column named for {', '.join(absent)}; all valid rows are {_imported(job)}"
        )


def _imported(job: Job) -> str:
    return "fine" if job.is_dry_run else "imported"


def absent_columns(mapping: Mapping, tally: Tally) -> list[str]:
    """Return a sentence for each column that a person named and no row has."""
    if not tally.columns_seen:
        return []
    return [
        f"{source.named_in}: no row has a column {column!r}"
        for source in mapping.fields.values()
        if source.named_in
        for column in source.all_columns()
        if not _is_seen(column, tally)
    ]


def _is_seen(column: str, tally: Tally) -> bool:
    return column in tally.columns_seen or column.partition(".")[0] in tally.columns_seen


def _absent(mapping: Mapping, tally: Tally) -> list[str]:
    """Fields for which a person named columns, none of which is in any row."""
    if not tally.columns_seen:
        return []
    return [
        name
        for name, source in mapping.fields.items()
        if source.named_in and not any(_is_seen(each, tally) for each in source.all_columns())
    ]


def _close_missing(job: Job, history: History, outcome: Outcome) -> None:
    missing = missing_rows(history, job.open_rows_of(job.source), max_share=job.max_closed)
    if not missing.ids:
        return
    if missing.refusal:
        outcome.complaints.append(f"nothing was closed: {missing.refusal}")
        return
    closed = job.close(missing.ids)
    if closed is None:
        outcome.notes.append(
            f"{len(missing.ids):,} rows of {job.source} are not in the file; they stay as they are"
        )
    else:
        outcome.tally.closed = closed
        outcome.notes.append(f"{closed:,} open rows of {job.source} are not in the file and were closed")
