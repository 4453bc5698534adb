"""Map the columns of a file to the fields of a record, as described by a TOML file such as EXAMPLE."""

import re
import tomllib
from collections.abc import Callable
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Shown by --help, which replaces SHORT and LONG by a field of one line and a field of text.
EXAMPLE = r"""
[defaults]    # values for fields without a column
source = "acme"
[fields]      # our field = their column, or a table
external_id = "Ref"
SHORT = { columns = ["Job title", "Position"] }    # the first that has a value
location = "Place"    # "City, Region, Country" is split in three
english_level = { columns = ["English"], values = { good = "fluent" } }    # whole values, in any case
experience_years = { columns = ["Experience"], pattern = '^(\d+)y$' }    # what the group matches
LONG = { sections = [ { column = "Tasks", heading = "Duties" }, { column = "More" } ] }    # as Markdown
""".strip()


class MappingError(Exception):
    """A mapping file or a --map argument is wrong; the message names the field and the remedy."""


@dataclass(frozen=True)
class Section:
    """A column that becomes a part of a Markdown text, below `heading` if there is one."""

    column: str
    heading: str = ""


@dataclass(frozen=True)
class FieldSource:
    """Where one field comes from. `values` replaces whole values in any case; `pattern` extracts its group 1.

    `named_in` says where a person named the columns, so that missing ones are reported; empty for presets.
    """

    columns: tuple[str, ...] = ()
    values: AnyMapping[str, Any] = field(default_factory=dict)
    pattern: re.Pattern[str] | None = None
    sections: tuple[Section, ...] = ()
    named_in: str = ""

    def all_columns(self) -> tuple[str, ...]:
        """Return every column that this field reads."""
        return (*self.columns, *(section.column for section in self.sections))

    def read(self, row: AnyMapping[str, Any]) -> Any:
        """Return the field's raw value in `row`, or None."""
        if self.sections:
            return _markdown(row, self.sections) or None
        for name in self.columns:
            value = row.get(name)
            if value not in (None, "", []):
                return self._replaced(value) if self.values or self.pattern else value
        return None

    def _replaced(self, value: Any) -> Any:
        if isinstance(value, str):
            stripped = value.strip()
            if stripped.casefold() in self.values:
                return self.values[stripped.casefold()]
            if self.pattern and (match := self.pattern.search(stripped)):
                return match.group(1)
        return value


@dataclass(frozen=True)
class Mapping:
    """Where each field comes from, and the values of fields that no column gives."""

    fields: dict[str, FieldSource]
    defaults: dict[str, Any] = field(default_factory=dict)

    def apply(self, row: AnyMapping[str, Any]) -> dict[str, Any]:
        """Return the row by field, without the fields that have no value."""
        mapped = dict(self.defaults)
        for name, source in self.fields.items():
            value = source.read(row)
            if value is None:
                continue
            if name == "location":
                mapped |= _place(value)
            else:
                mapped[name] = value
        return mapped

    def columns(self) -> set[str]:
        """Return every column that some field reads."""
        return {name for source in self.fields.values() for name in source.all_columns()}


def identity_mapping(names: frozenset[str], *, overrides: AnyMapping[str, str] | None = None) -> Mapping:
    """Map each field from the column of the same name, except for `overrides` (field → column)."""
    fields = {name: FieldSource((name,)) for name in sorted(names)}
    return with_overrides(Mapping(fields), overrides or {}, names=names)


def with_overrides(mapping: Mapping, overrides: AnyMapping[str, str], *, names: frozenset[str]) -> Mapping:
    """Return the mapping with some fields read from other columns (field → column). Raises MappingError."""
    for name in overrides:
        _check_field(name, names, "--map")
    named = {name: FieldSource((column,), named_in=f"--map {name}") for name, column in overrides.items()}
    return Mapping(mapping.fields | named, mapping.defaults)


def read_mapping(path: Path, *, names: frozenset[str], preset: bool = False) -> Mapping:
    """Read the TOML file `path` for a record with fields `names`. Raises MappingError.

    Missing columns of a preset are not reported, because it was not written for this one file.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MappingError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MappingError(f"{path}: not a TOML file: {error}") from error
    unknown = set(content) - {"defaults", "fields"}
    if unknown:
        raise MappingError(f"{path}: unknown table [{min(unknown)}]; the tables are [defaults] and [fields]")
    defaults, described = content.get("defaults", {}), content.get("fields", {})
    for title, table in (("defaults", defaults), ("fields", described)):
        if not isinstance(table, dict):
            raise MappingError(f"{path}: {title}: must be a table: write [{title}], then one field per line")
        for name in table:
            _check_field(name, names, str(path))
    if "location" in defaults:
        defaults = _place(defaults["location"]) | {k: v for k, v in defaults.items() if k != "location"}
    sources = {name: _field_source(f"{path}: {name}", value, preset) for name, value in described.items()}
    return Mapping(sources, defaults)


def _check_field(name: str, names: frozenset[str], where: str) -> None:
    if name not in names | {"location"}:
        raise MappingError(
            f"{where}: unknown field {name!r}; the fields are location, {', '.join(sorted(names))}"
        )


def _are_strings(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, str) for each in value)


def _are_sections(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(each, dict)
            and "column" in each
            and each.keys() <= {"column", "heading"}
            and all(isinstance(part, str) for part in each.values())
            for each in value
        )
    )


# The entries of a field's table: a check of the value, and what it must be.
_PARTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "columns": (_are_strings, 'a list of column names, such as ["Job title"], or one'),
    "values": (
        lambda value: isinstance(value, dict),
        "a table from column values to field values, such as { no_exp = 0 }",
    ),
    "pattern": (lambda value: isinstance(value, str), "a regular expression, such as '^(\\d+)y$'"),
    "sections": (_are_sections, 'a list of tables, such as [ { column = "Tasks", heading = "Duties" } ]'),
}


def _field_source(where: str, value: Any, preset: bool) -> FieldSource:
    if isinstance(value, str):
        value = {"columns": value}
    if not isinstance(value, dict) or not value.keys() <= _PARTS.keys():
        raise MappingError(
            f"{where}: must be a column's name, or a table with columns, values, pattern or sections"
        )
    if ("columns" in value) == ("sections" in value):
        raise MappingError(f"{where}: must have either columns or sections")
    if isinstance(value.get("columns"), str):
        value = value | {"columns": [value["columns"]]}
    for part, given in value.items():
        fits, expected = _PARTS[part]
        if not fits(given):
            raise MappingError(f"{where}.{part}: must be {expected}, not {str(given)[:40]!r}")
    try:
        pattern = re.compile(value["pattern"]) if "pattern" in value else None
    except re.error as error:
        raise MappingError(f"{where}.pattern: {error}") from error
    if pattern and pattern.groups < 1:
        raise MappingError(f"{where}.pattern: must have a group in parentheses, such as '^(\\d+)y$'")
    return FieldSource(
        columns=tuple(value.get("columns", ())),
        values={theirs.casefold(): ours for theirs, ours in value.get("values", {}).items()},
        pattern=pattern,
        sections=tuple(Section(**section) for section in value.get("sections", ())),
        named_in="" if preset else where,
    )


def _markdown(row: AnyMapping[str, Any], sections: tuple[Section, ...]) -> str:
    parts = []
    for section in sections:
        value = row.get(section.column)
        if not value:
            continue
        body = "\n".join(f"- {item}" for item in value) if isinstance(value, list) else str(value)
        parts.append(f"## {section.heading}\n\n{body}" if section.heading else body)
    return "\n\n".join(parts)


def _place(value: Any) -> dict[str, str]:
    """Split "City, Region, Country"; of more than three parts the first ones are the city."""
    parts = [part.strip() for part in str(value).split(",") if part.strip()]
    if len(parts) > 3:
        parts = [", ".join(parts[:-2]), *parts[-2:]]
    return dict(zip(("city", "region", "country"), parts, strict=False))
