"""Choose the mapping of a file: a named one, a preset that fits, or a guess by names and content."""

from collections.abc import Mapping as AnyMapping
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from apps.records.importing.guessing import SAMPLE_ROWS, columns_of, guess_columns
from apps.records.importing.mapping import (
    FieldSource,
    Mapping,
    detects,
    identity_mapping,
    lookup,
    read_mapping,
    with_overrides,
)
from apps.records.normalizing.dates import Order, infer_order
from apps.records.reading.opening import open_rows
from apps.records.reading.rows import ImportFileError, Reading, ReadingOptions, SourceRow


@dataclass(frozen=True)
class Choice:
    """A mapping, where it comes from in words, and what a person should check in it, by field.

    `is_fixed` says that no mapping file would change how the file is read.
    """

    mapping: Mapping
    origin: str
    unsure: dict[str, str] = field(default_factory=dict)
    reading: Reading = field(default_factory=Reading)
    sample: Sequence[AnyMapping[str, Any]] = ()
    is_fixed: bool = False


def choose(
    path: Path | str,
    *,
    kind: str,
    names: frozenset[str],
    named: Mapping | None,
    presets: Path,
    overrides: AnyMapping[str, str],
    options: ReadingOptions,
) -> Choice:
    """Choose the mapping of the file at `path` for a `kind` of record with fields `names`.

    A `named` mapping is taken as it is. Else a file whose columns are jobrec's own fields is taken by their
    names; then the preset that fits best; then a guess. `overrides` (field → column) go before all. Raises
    ImportFileError.
    """
    reading_options = _merged(options, named.reading if named else ReadingOptions())
    sample, reading = _sample(path, reading_options)
    if named is not None:
        return Choice(
            with_overrides(named, overrides, names=names), "the mapping", reading=reading, sample=sample
        )
    columns = columns_of(sample) or {name: [] for name in reading.columns}
    own = identity_mapping(names, overrides=overrides)
    if _is_own(columns, own):
        return Choice(own, "columns with the names of jobrec's fields", reading=reading, sample=sample)
    best = max(sorted(presets.glob("*.toml")), key=lambda each: detects(each, columns), default=None)
    if best is not None and detects(best, columns) and not overrides:
        mapping = read_mapping(best, names=names, preset=True)
        return Choice(mapping, f"the preset {best.stem}", reading=reading, sample=sample)
    guess = guess_columns(sample, kind=kind, names=names)
    fields = {name: FieldSource(each) for name, each in guess.columns.items()}
    unsure = dict(guess.unsure)
    if "external_id" not in fields and "external_id" not in overrides:
        fields["external_id"], reason = _made_id(fields)
        unsure["external_id"] = reason
    title = "title" if kind == "posting" else "headline"
    if title not in fields and title not in overrides:
        unsure[title] = f"no column looks like the {title}; name it with --map {title}=COLUMN"
    mapping = with_overrides(Mapping(fields), overrides, names=names)
    return Choice(mapping, "a guess by the names and the content of the columns", unsure, reading, sample)


def date_order(path: Path | str, choice: Choice, options: ReadingOptions) -> Order | None:
    """Return the order of day and month in 11/03/2026, by all dates of the file; None if all fit both.

    The whole file is read for that only where the first rows leave it open. Raises UnreadableCellError where
    the file contradicts itself, ImportFileError where it cannot be read.
    """
    columns = [
        name for field_name in ("published_at", "closes_at") for name in _columns(choice.mapping, field_name)
    ]
    in_sample = [lookup(row, name) for row in choice.sample for name in columns]
    if (
        not columns
        or infer_order(in_sample)
        or not any("/" in value or "-" in value[:3] for value in in_sample if isinstance(value, str))
    ):
        return infer_order(in_sample) if columns else None
    with open_rows(path, _merged(options, choice.mapping.reading)) as (rows, _):
        return infer_order(
            lookup(row.values, name) for row in rows if isinstance(row, SourceRow) for name in columns
        )


def _columns(mapping: Mapping, name: str) -> tuple[str, ...]:
    return mapping.fields[name].all_columns() if name in mapping.fields else ()


def _merged(first: ReadingOptions, second: ReadingOptions) -> ReadingOptions:
    """What the command line says goes before what the mapping says."""
    return replace(second, **{name: value for name, value in vars(first).items() if value})


def _sample(path: Path | str, options: ReadingOptions) -> tuple[list[dict[str, Any]], Reading]:
    sample: list[dict[str, Any]] = []
    reading = Reading()
    try:
        with open_rows(path, options) as (rows, reading):
            sample.extend(row.values for row in islice(rows, SAMPLE_ROWS) if isinstance(row, SourceRow))
    except ImportFileError:
        if not sample:
            raise  # else the import says so, after it stored the rows before the fault
    return sample, reading


def _is_own(columns: AnyMapping[str, Any], own: Mapping) -> bool:
    """Whether the file was written for jobrec: it has ids, and all its columns are jobrec's fields."""
    wanted = own.columns()
    known = [name for name in columns if "." not in name and name in wanted]
    return "external_id" in columns and len(known) == sum("." not in name for name in columns)


def _made_id(fields: AnyMapping[str, FieldSource]) -> tuple[FieldSource, str]:
    """An id made of the columns that tell a row from others."""
    parts = [
        name
        for each in ("title", "headline", "company", "location", "city", "resume")
        for name in _first(fields, each)
    ]
    columns = tuple(dict.fromkeys(parts))
    if not columns:
        return FieldSource(
            ("external_id",)
        ), "no column names the rows; name one with --map external_id=COLUMN"
    return FieldSource(hash=columns), f"no column names the rows: they are recognised by {', '.join(columns)}"


def _first(fields: AnyMapping[str, FieldSource], name: str) -> tuple[str, ...]:
    return fields[name].columns[:1] if name in fields else ()
