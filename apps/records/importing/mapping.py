"""From a file's own columns to jobrec's fields.

A mapping file is TOML:

    [defaults]                      # fields the file does not have
    source = "usajobs"

    [fields]                        # our field = their column …
    title = "title"
    # … or a table: the first column that has a value, then what is done with it
    experience_years = { columns = ["Exp Years"], values = { no_exp = 0 }, pattern = '^(\\d+)y$' }
    location = { columns = ["location"] }           # "City, Region, Country" is split in three
    description = { sections = [ { column = "tasks", heading = "Duties" }, … ] }   # Markdown
"""

import re
import tomllib
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class MappingError(Exception):
    """A mapping file or a --map argument is wrong; the message names the field and what would be right."""


@dataclass(frozen=True)
class Section:
    column: str
    heading: str = ""


@dataclass(frozen=True)
class FieldSource:
    """Where one field comes from. `values` replaces whole values (compared without case), `pattern` takes group 1."""

    columns: tuple[str, ...] = ()
    values: AnyMapping[str, Any] = field(default_factory=dict)
    pattern: re.Pattern[str] | None = None
    sections: tuple[Section, ...] = ()

    def read(self, row: AnyMapping[str, Any]) -> Any:
        """The field's raw value in `row`, None where it has none."""
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
    fields: dict[str, FieldSource]
    defaults: dict[str, Any] = field(default_factory=dict)

    def apply(self, row: AnyMapping[str, Any]) -> dict[str, Any]:
        """The row in jobrec's fields; what has no value is left out."""
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
        """Every column of the file that some field reads."""
        return {
            name
            for source in self.fields.values()
            for name in (*source.columns, *(section.column for section in source.sections))
        }


def identity_mapping(names: frozenset[str], *, overrides: AnyMapping[str, str] | None = None) -> Mapping:
    """Each field from the column of its own name, `overrides` (field → column) excepted."""
    fields = {name: FieldSource((name,)) for name in sorted(names)}
    return with_overrides(Mapping(fields), overrides or {}, names=names)


def with_overrides(mapping: Mapping, overrides: AnyMapping[str, str], *, names: frozenset[str]) -> Mapping:
    for name in overrides:
        _check_field(name, names, "--map")
    fields = mapping.fields | {name: FieldSource((column,)) for name, column in overrides.items()}
    return Mapping(fields, mapping.defaults)


def read_mapping(path: Path, *, names: frozenset[str]) -> Mapping:
    """The mapping in the TOML file `path` for a record with fields `names`. Raises MappingError."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MappingError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MappingError(f"{path}: not a TOML file: {error}") from error
    unknown = set(content) - {"defaults", "fields"}
    if unknown:
        raise MappingError(f"{path}: unknown table [{min(unknown)}]; there are [defaults] and [fields]")
    for name in (*content.get("defaults", {}), *content.get("fields", {})):
        _check_field(name, names, str(path))
    fields = {name: _field_source(path, name, value) for name, value in content.get("fields", {}).items()}
    return Mapping(fields, content.get("defaults", {}))


def _check_field(name: str, names: frozenset[str], where: str) -> None:
    if name not in names | {"location"}:
        raise MappingError(f"{where}: no field {name!r}; there are location, {', '.join(sorted(names))}")


def _field_source(path: Path, name: str, value: Any) -> FieldSource:
    if isinstance(value, str):
        return FieldSource((value,))
    if not isinstance(value, dict) or not value.keys() <= {"columns", "values", "pattern", "sections"}:
        raise MappingError(
            f"{path}: {name}: write a column's name, or a table with columns, values, pattern or sections"
        )
    try:
        pattern = re.compile(value["pattern"]) if "pattern" in value else None
        sections = tuple(Section(**section) for section in value.get("sections", []))
    except (re.error, TypeError) as error:
        raise MappingError(f"{path}: {name}: {error}") from error
    if pattern and pattern.groups < 1:
        raise MappingError(f"{path}: {name}: pattern needs a group in brackets, such as '^(\\d+)y$'")
    values = {str(theirs).casefold(): ours for theirs, ours in value.get("values", {}).items()}
    return FieldSource(tuple(value.get("columns", ())), values, pattern, sections)


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
    """ "Aurora, Colorado" → city and region; a third part is the country, more than three stay with the city."""
    parts = [part.strip() for part in str(value).split(",") if part.strip()]
    if len(parts) > 3:
        parts = [", ".join(parts[:-2]), *parts[-2:]]
    return dict(zip(("city", "region", "country"), parts, strict=False))
