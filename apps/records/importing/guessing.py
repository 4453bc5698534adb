"""Guess which column of a file is which field: by its name in several languages, and by what stands in it."""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from django.utils import timezone

from apps.records.normalizing.choices import parse_employment_type
from apps.records.normalizing.dates import parse_moment
from apps.records.normalizing.errors import UnreadableCellError
from apps.records.normalizing.folding import fold
from apps.records.normalizing.money import parse_salary
from apps.records.normalizing.unknown import is_unknown

SAMPLE_ROWS = 200
MAX_NESTING = 3  # objects within objects whose keys count as columns
MIN_SHARE = 0.5  # of the cells that must be of the field's kind, where a kind can be told
MIN_LONG_TEXT = 120  # characters on average, of a column that holds descriptions


@dataclass(frozen=True)
class Guess:
    """Columns by field, the surest first; `unsure` says for a field why a person should look at it."""

    columns: dict[str, tuple[str, ...]]
    unsure: dict[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()


def guess_columns(rows: Sequence[Mapping[str, Any]], *, kind: str, names: Iterable[str]) -> Guess:
    """Guess from its first rows which columns of a file hold the fields `names` of a `kind` of record."""
    columns = columns_of(rows)
    wanted = {
        name: known
        for name, known in _known_names(kind).items()
        if name in set(names) | {"location", "salary"}
    }
    found: dict[str, list[str]] = {}
    taken: dict[str, str] = {}
    unsure: dict[str, str] = {}
    # A rank says how usual a name is for a field: the most usual pairs are made first, so that "url" is an id
    # only where nothing better is there.
    pairs = sorted(
        (known.index(_bare(column)), field_name, column)
        for column in columns
        for field_name, known in wanted.items()
        if _bare(column) in known
    )
    for _, field_name, column in pairs:
        if column in taken or not _fits(field_name, columns[column]):
            continue
        if field_name in found and (field_name == "external_id" or field_name not in _SEVERAL):
            continue
        found.setdefault(field_name, []).append(column)
        taken[column] = field_name
    _guess_by_content(kind, columns, found, taken, unsure)
    if "external_id" in found and len(set(map(str, columns[found["external_id"][0]]))) < 0.9 * len(rows):
        unsure["external_id"] = f"{found['external_id'][0]!r} is not different in every row"
    return Guess(
        {name: tuple(each) for name, each in sorted(found.items())},
        unsure,
        tuple(column for column in columns if column not in taken),
    )


# Of these, every column is read and the first with a value counts.
_SEVERAL = frozenset({"company", "description", "resume", "published_at", "employment_type", "skills"})


def columns_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return cells by column. A key within an object is a column (`location.name`); a list is one cell."""
    columns: dict[str, list[Any]] = {}

    def collect(values: Mapping[str, Any], prefix: str, depth: int) -> None:
        for key, value in values.items():
            name = f"{prefix}{key}"
            if is_unknown(value):
                columns.setdefault(name, [])
                continue
            columns.setdefault(name, []).append(value)
            if isinstance(value, Mapping) and depth < MAX_NESTING:
                collect(value, f"{name}.", depth + 1)

    for row in rows[:SAMPLE_ROWS]:
        collect(row, "", 1)
    return columns


@cache
def _known_names(kind: str) -> dict[str, list[str]]:
    tables = tomllib.loads((Path(__file__).parent / "columns.toml").read_text(encoding="utf-8"))
    return {name: [_bare(each) for each in known] for name, known in (tables["any"] | tables[kind]).items()}


def _bare(column: str) -> str:
    """A column's name as it is compared: of "Job-Title (DE)" jobtitle. The dots of a path stay."""
    return re.sub(r"[^\w.]|_", "", re.sub(r"\s*[(\[].*?[)\]]\s*$", "", fold(column)))


def _is_date(value: Any) -> bool:
    parse_moment(value, now=timezone.now(), order="dmy")
    return True


_KINDS: dict[str, Callable[[Any], Any]] = {
    "published_at": _is_date,
    "closes_at": _is_date,
    "employment_type": parse_employment_type,
    "salary_min": lambda value: parse_salary(str(value)),
    "salary_max": lambda value: parse_salary(str(value)),
}


def _fits(field_name: str, cells: Sequence[Any]) -> bool:
    """Whether most cells of the column fit the field; False for an empty column."""
    if not cells:
        return False
    if field_name in ("title", "headline", "company") and all(
        isinstance(each, Mapping | list) for each in cells
    ):
        return field_name == "company"
    if field_name == "external_id" and any(isinstance(each, Mapping | list) for each in cells):
        return False
    read = _KINDS.get(field_name)
    if read is None:
        return True
    sample = cells[:50]
    return sum(_is_read(read, each) for each in sample) >= MIN_SHARE * len(sample)


def _is_read(read: Callable[[Any], Any], value: Any) -> bool:
    try:
        read(value)
    except UnreadableCellError:
        return False
    return True


def _guess_by_content(
    kind: str,
    columns: Mapping[str, Sequence[Any]],
    found: dict[str, list[str]],
    taken: dict[str, str],
    unsure: dict[str, str],
) -> None:
    """Guess by content: the longest texts are the description, distinct short values are the id."""
    free = {
        column: cells
        for column, cells in columns.items()
        if column not in taken and cells and "." not in column
    }
    long_field = "description" if kind == "posting" else "resume"
    if long_field not in found:
        by_length = {name: _mean_length(cells) for name, cells in free.items()}
        longest = max(by_length, key=lambda name: by_length[name], default="")
        if longest and by_length[longest] >= MIN_LONG_TEXT:
            found[long_field], taken[longest] = [longest], long_field
            unsure[long_field] = f"{longest!r} was taken for its long texts"


def _mean_length(cells: Sequence[Any]) -> float:
    texts = [len(each) for each in cells if isinstance(each, str)]
    return sum(texts) / len(cells) if cells and texts else 0.0
