"""From a file's own columns to jobrec's fields, as a TOML file such as EXAMPLE describes it."""

import hashlib
import json
import re
import tomllib
from collections.abc import Callable
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from apps.records.importing.cells import text_of
from apps.records.normalizing.dates import Order
from apps.records.normalizing.errors import UnreadableCellError
from apps.records.normalizing.folding import fold
from apps.records.normalizing.markup import to_markdown
from apps.records.normalizing.unknown import is_unknown
from apps.records.reading.rows import ReadingOptions

# What --help shows. SHORT and LONG stand for the fields of a record that hold a line and a text.
EXAMPLE = r"""
[defaults]    # what the file does not say
source = "acme"
[reading]     # what cannot be told from the file: encoding, delimiter, rows_at, sheet
encoding = "cp1252"
[options]
dates = "dmy"                      # 11/03/2026 is in March
null_words = ["offen"]             # these mean "unknown", like n/a, null, -, 미정 and others
empty_means_delete = ["city"]      # an empty cell of these fields deletes; otherwise it changes nothing
source_wins = ["city"]             # of these fields, a new value of the source replaces an edit by hand
reject_on_error = ["location"]     # a cell of these that cannot be read costs the row, not just the cell
[fields]      # our field = their column, or a table
external_id = "Ref"
SHORT = { columns = ["Job title", "Position"] }    # the first that has a value
location = "Place"                                 # "Berlin, Germany; London, UK" are two places
salary = "Pay"    # "€45.000 – 60.000 p.a." is a range, a currency and a period
english_level = { columns = ["English"], values = { good = "fluent" } }    # whole values, in any case
experience_years = { columns = ["Experience"], pattern = '^(\d+)y$' }      # what the group matches
LONG = { sections = [ { column = "Tasks", heading = "Duties" }, { column = "More" } ] }    # as Markdown
skills = { together = ["Must", "Nice to have"] }   # all of them
""".strip()

VIRTUAL_FIELDS = frozenset({"location", "salary"})  # become several fields


class MappingError(Exception):
    """A mapping file or a --map argument is wrong; the message names the field and what would be right."""


@dataclass(frozen=True)
class Section:
    """One column of a text that is put together from several, with the heading above it."""

    column: str
    heading: str = ""


@dataclass(frozen=True)
class FieldSource:
    """Where one field comes from.

    `values` replaces whole values, compared without case; `pattern` takes its group 1.
    The first of `columns` with a value counts; all of `together` count; `hash` makes a stable id of several
    columns, where no column has one. `named_in` is where a person named the columns, which must then be
    there; empty where nobody did.
    """

    columns: tuple[str, ...] = ()
    together: tuple[str, ...] = ()
    values: AnyMapping[str, Any] = field(default_factory=dict)
    pattern: re.Pattern[str] | None = None
    sections: tuple[Section, ...] = ()
    hash: tuple[str, ...] = ()
    named_in: str = ""

    def all_columns(self) -> tuple[str, ...]:
        """Return every column that is read, as named."""
        return (*self.columns, *self.together, *(section.column for section in self.sections), *self.hash)

    def is_present(self, row: AnyMapping[str, Any]) -> bool:
        """Return whether the row has one of the columns, be it with an empty cell."""
        return any(name in row or _root(name) in row for name in self.all_columns())

    def read(self, row: AnyMapping[str, Any]) -> Any:
        """Return the field's raw value in `row`, None where it has none."""
        if self.sections:
            return _markdown(row, self.sections) or None
        if self.together:
            return [value for name in self.together if not is_unknown(value := lookup(row, name))] or None
        for name in self.columns:
            value = row.get(name) if name in row else lookup(row, name)
            if not is_unknown(value):
                return self._replaced(value) if self.values or self.pattern else value
        return self._hashed(row) if self.hash else None

    def _replaced(self, value: Any) -> Any:
        text = str(value).lower() if isinstance(value, bool) else value
        if isinstance(text, str):
            stripped = text.strip()
            if stripped.casefold() in self.values:
                return self.values[stripped.casefold()]
            if self.pattern and (match := self.pattern.search(stripped)):
                return match.group(1)
        return value

    def _hashed(self, row: AnyMapping[str, Any]) -> str | None:
        values = [lookup(row, name) for name in self.hash]
        if all(is_unknown(value) for value in values):
            return None
        folded = [fold(value) if isinstance(value, str) else value for value in values]
        content = json.dumps(folded, sort_keys=True, default=str, ensure_ascii=False)
        return hashlib.blake2b(content.encode("utf-8", "replace"), digest_size=16).hexdigest()


@dataclass(frozen=True)
class MappingOptions:
    """What a mapping file says of the whole import. An empty set of fields is none, {"*"} is all."""

    dates: Order | None = None
    null_words: frozenset[str] = frozenset()
    empty_means_delete: frozenset[str] = frozenset()
    source_wins: frozenset[str] = frozenset()
    reject_on_error: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Mapping:
    """A mapping of one kind of file to the fields of one kind of record."""

    fields: dict[str, FieldSource]
    defaults: dict[str, Any] = field(default_factory=dict)
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    options: MappingOptions = field(default_factory=MappingOptions)

    def apply(self, row: AnyMapping[str, Any]) -> dict[str, Any]:
        """Return the row's raw cells by jobrec's fields; what has no value is left out."""
        mapped = dict(self.defaults)
        for name, source in self.fields.items():
            value = source.read(row)
            if value is not None:
                mapped[name] = value
        return mapped

    def emptied(self, row: AnyMapping[str, Any]) -> list[str]:
        """Return the fields whose cell is empty and which the mapping empties in that case."""
        deletes = self.options.empty_means_delete
        if not deletes:
            return []
        return [
            name
            for name, source in self.fields.items()
            if (name in deletes or "*" in deletes) and source.is_present(row) and is_unknown(source.read(row))
        ]

    def columns(self) -> set[str]:
        """Return every column of the file that some field reads; of a path also its first key."""
        names = {name for source in self.fields.values() for name in source.all_columns()}
        return names | {_root(name) for name in names}

    def with_source(self, source: str) -> "Mapping":
        """Return the mapping with every row's source given."""
        fields = {name: each for name, each in self.fields.items() if name != "source"}
        return replace(self, fields=fields, defaults=self.defaults | {"source": source})


class ExplicitValue(str):
    """A value that a mapping gives. It counts even if it is a word for "unknown", such as "none"."""

    __slots__ = ()


def lookup(row: AnyMapping[str, Any], name: str) -> Any:
    """Return the cell of the column `name`, else the value at that dotted path; of a list, each member's."""
    if name in row:
        return row[name]
    if "." not in name:
        return None
    value: Any = row
    for key in name.split("."):
        if isinstance(value, AnyMapping):
            value = value.get(key)
        elif isinstance(value, list):
            found = [
                each.get(key)
                for each in value
                if isinstance(each, AnyMapping) and not is_unknown(each.get(key))
            ]
            # The jobs of several employers are one list, whether an employer has one of them or several.
            value = [one for each in found for one in (each if isinstance(each, list) else [each])]
        else:
            return None
    return value


def _root(name: str) -> str:
    return name.partition(".")[0]


def identity_mapping(names: frozenset[str], *, overrides: AnyMapping[str, str] | None = None) -> Mapping:
    """Take each field from the column of its own name, `overrides` (field → column) excepted."""
    fields = {name: FieldSource((name,)) for name in sorted(names | VIRTUAL_FIELDS)}
    return with_overrides(Mapping(fields), overrides or {}, names=names)


def with_overrides(mapping: Mapping, overrides: AnyMapping[str, str], *, names: frozenset[str]) -> Mapping:
    """Return `mapping` with other columns for some fields. Raises MappingError for an unknown field."""
    for name in overrides:
        _check_field(name, names, "--map")
    named = {name: FieldSource((column,), named_in=f"--map {name}") for name, column in overrides.items()}
    return replace(mapping, fields=mapping.fields | named)


def with_columns(mapping: Mapping, columns: AnyMapping[str, tuple[str, ...]]) -> Mapping:
    """Return `mapping` with guessed columns (field → columns) where it does not name any itself."""
    guessed = {name: FieldSource(each) for name, each in columns.items() if not mapping_names(mapping, name)}
    return replace(mapping, fields=mapping.fields | guessed)


def mapping_names(mapping: Mapping, name: str) -> bool:
    """Return whether a person or a preset named columns for the field."""
    return name in mapping.fields and bool(mapping.fields[name].named_in)


def as_toml(mapping: Mapping, *, comments: AnyMapping[str, str] | None = None) -> str:
    """Write a mapping as a file to keep; `comments` stand behind their field's line."""
    lines = []
    if mapping.defaults:
        lines += [
            "[defaults]",
            *(f"{name} = {json.dumps(value)}" for name, value in mapping.defaults.items()),
            "",
        ]
    reading = {name: value for name, value in vars(mapping.reading).items() if value}
    if reading:
        lines += ["[reading]", *(f"{name} = {json.dumps(value)}" for name, value in reading.items()), ""]
    if mapping.options.dates:
        lines += ["[options]", f"dates = {json.dumps(mapping.options.dates)}", ""]
    lines.append("[fields]")
    for name, source in sorted(mapping.fields.items()):
        comment = f"    # {comments[name]}" if comments and name in comments else ""
        lines.append(f"{name} = {_toml_source(source)}{comment}")
    return "\n".join(lines) + "\n"


def _toml_source(source: FieldSource) -> str:
    def strings(values: tuple[str, ...]) -> str:
        return "[" + ", ".join(json.dumps(value, ensure_ascii=False) for value in values) + "]"

    if len(source.columns) == 1 and not (source.values or source.pattern or source.hash):
        return json.dumps(source.columns[0], ensure_ascii=False)
    parts = []
    if source.sections:
        sections = ", ".join(
            f"{{ column = {json.dumps(each.column, ensure_ascii=False)}"
            + (f", heading = {json.dumps(each.heading, ensure_ascii=False)}" if each.heading else "")
            + " }"
            for each in source.sections
        )
        parts.append(f"sections = [{sections}]")
    parts += [
        f"{name} = {strings(values)}"
        for name in ("columns", "together", "hash")
        if (values := getattr(source, name))
    ]
    if source.values:
        pairs = ", ".join(
            f"{json.dumps(theirs, ensure_ascii=False)} = {json.dumps(ours)}"
            for theirs, ours in source.values.items()
        )
        parts.append(f"values = {{ {pairs} }}")
    if source.pattern:
        parts.append(f"pattern = {json.dumps(source.pattern.pattern)}")
    return "{ " + ", ".join(parts) + " }"


_TABLES = {"detect", "defaults", "reading", "options", "fields"}


def read_mapping(path: Path, *, names: frozenset[str], preset: bool = False) -> Mapping:
    """Read the mapping in the TOML file `path` for a record with fields `names`. Raises MappingError.

    The columns of a preset need not all be there: it was not written for this one file.
    """
    content = _read_toml(path)
    unknown = set(content) - _TABLES
    if unknown:
        raise MappingError(
            f"{path}: unknown table [{min(unknown)}]; there are [defaults], [reading], [options] and [fields]"
        )
    for title in _TABLES & set(content):
        if not isinstance(content[title], dict):
            raise MappingError(
                f"{path}: {title}: must be a table: write [{title}], then one line for each entry"
            )
    defaults, described = content.get("defaults", {}), content.get("fields", {})
    for name in (*defaults, *described):
        _check_field(name, names, str(path))
    sources = {name: _field_source(f"{path}: {name}", value, preset) for name, value in described.items()}
    return Mapping(sources, defaults, _reading(path, content), _options(path, content, names))


def detects(path: Path, columns: AnyMapping[str, Any]) -> int:
    """Return how many columns a preset's `[detect]` names; 0 if the file lacks one of them."""
    wanted: list[str] = _read_toml(path).get("detect", {}).get("columns", [])
    return len(wanted) if wanted and all(name in columns for name in wanted) else 0


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MappingError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MappingError(f"{path}: not a TOML file: {error}") from error


def _reading(path: Path, content: dict[str, Any]) -> ReadingOptions:
    table = content.get("reading", {})
    known = set(vars(ReadingOptions()))
    for name, value in table.items():
        if name not in known or not isinstance(value, str):
            raise MappingError(
                f"{path}: reading.{name}: write one of {', '.join(sorted(known))}, as a string"
            )
    return ReadingOptions(**table)


def _options(path: Path, content: dict[str, Any], names: frozenset[str]) -> MappingOptions:
    table = content.get("options", {})
    known = set(vars(MappingOptions()))
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name not in known:
            raise MappingError(
                f"{path}: options.{name}: there is no such option; there are {', '.join(sorted(known))}"
            )
        if name == "dates":
            if value not in ("dmy", "mdy"):
                raise MappingError(f'{path}: options.dates: write "dmy" or "mdy", not {str(value)[:40]!r}')
            values[name] = value
            continue
        entries = ["*"] if value is True else value
        if not _are_strings(entries):
            raise MappingError(f'{path}: options.{name}: must be a list, such as ["city"], or true for all')
        if name != "null_words":
            for entry in entries:
                if entry != "*":
                    _check_field(entry, names, f"{path}: options.{name}")
        values[name] = frozenset(map(fold, entries) if name == "null_words" else entries)
    return MappingOptions(**values)


def _check_field(name: str, names: frozenset[str], where: str) -> None:
    if name not in names | VIRTUAL_FIELDS:
        raise MappingError(
            f"{where}: unknown field {name!r}; the fields are {', '.join(sorted(names | VIRTUAL_FIELDS))}"
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


# What the table of a field may hold: whether it is so, and what is needed.
_COLUMNS = (_are_strings, 'a list of column names, such as ["Job title"], or one')
_PARTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "columns": _COLUMNS,
    "together": _COLUMNS,
    "hash": _COLUMNS,
    "values": (lambda value: isinstance(value, dict), "a table from theirs to ours, such as { no_exp = 0 }"),
    "pattern": (lambda value: isinstance(value, str), "a regular expression, such as '^(\\d+)y$'"),
    "sections": (_are_sections, 'a list of tables, such as [ { column = "Tasks", heading = "Duties" } ]'),
}


def _field_source(where: str, value: Any, preset: bool) -> FieldSource:
    if isinstance(value, str):
        value = {"columns": value}
    if not isinstance(value, dict) or not value.keys() <= _PARTS.keys():
        raise MappingError(f"{where}: must be a column's name, or a table with {', '.join(_PARTS)}")
    if (
        len({"columns", "sections", "together"} & value.keys()) + ("hash" in value and "columns" not in value)
        != 1
    ):
        raise MappingError(f"{where}: must have one of columns, sections, together or hash")
    value = {
        part: [given] if part in ("columns", "together", "hash") and isinstance(given, str) else given
        for part, given in value.items()
    }
    for part, given in value.items():
        fits, needed = _PARTS[part]
        if not fits(given):
            raise MappingError(f"{where}.{part}: must be {needed}, not {str(given)[:40]!r}")
    return FieldSource(
        columns=tuple(value.get("columns", ())),
        together=tuple(value.get("together", ())),
        hash=tuple(value.get("hash", ())),
        values={
            theirs.casefold(): ExplicitValue(ours) if isinstance(ours, str) else ours
            for theirs, ours in value.get("values", {}).items()
        },
        pattern=_pattern(where, value.get("pattern")),
        sections=tuple(Section(**section) for section in value.get("sections", ())),
        named_in="" if preset else where,
    )


def _pattern(where: str, given: str | None) -> re.Pattern[str] | None:
    try:
        pattern = re.compile(given) if given is not None else None
    except re.error as error:
        raise MappingError(f"{where}.pattern: {error}") from error
    if pattern and pattern.groups < 1:
        raise MappingError(f"{where}.pattern: a group in brackets is needed, such as '^(\\d+)y$'")
    return pattern


# Keys in lower case.
_ENTRY_HEADINGS = (
    "text", "title", "position", "positiontitle", "degreename", "name", "institution", "heading",
    "certificationname", "licensename",
)  # fmt: skip
_ENTRY_TEXTS = (
    "content", "description", "summary", "body", "highlights", "area", "studytype", "activities", "comments",
    "degreemajor",
)  # fmt: skip


def _markdown(row: AnyMapping[str, Any], sections: tuple[Section, ...]) -> str:
    parts = []
    for section in sections:
        value = lookup(row, section.column)
        if is_unknown(value):
            continue
        body = _body(value)
        if body:
            parts.append(f"## {section.heading}\n\n{body}" if section.heading else body)
    return "\n\n".join(parts)


def _body(value: Any) -> str:
    """The Markdown of a cell: bullets for a list of texts, a heading and a text for each object."""
    if isinstance(value, str):
        return _prose(value)
    if isinstance(value, AnyMapping):
        return _entry(value)
    if isinstance(value, list):
        if any(isinstance(each, dict) for each in value):
            return "\n\n".join(filter(None, (_entry(each) for each in value)))
        return "\n".join(f"- {text}" for each in value if not is_unknown(each) and (text := _prose(each)))
    return _prose(value)


def _prose(value: Any) -> str:
    """The text of one part as Markdown; what is no text is left out."""
    try:
        text = text_of(value)
    except UnreadableCellError:
        return ""
    try:
        return to_markdown(text).strip()
    except UnreadableCellError:
        return text  # too long, which is reported when the whole is read


def _entry(value: Any) -> str:
    if not isinstance(value, AnyMapping):
        return _prose(value) if not is_unknown(value) else ""
    parts = {str(key).lower(): part for key, part in value.items() if not is_unknown(part)}
    heading = next((name for key in _ENTRY_HEADINGS if (name := _heading(parts.get(key)))), "")
    texts = [_prose(parts[key]) for key in _ENTRY_TEXTS if key in parts]
    return "\n\n".join([*([f"### {heading}"] if heading else []), *filter(None, texts)])


def _heading(value: Any) -> str:
    """The text of a cell that is a line: a text, or the name of an object such as {"Label": "Engineer"}."""
    if isinstance(value, AnyMapping):
        value = next((value[key] for key in ("label", "Label", "name", "Name", "#text") if key in value), "")
    return " ".join(value.split()) if isinstance(value, str) else ""
