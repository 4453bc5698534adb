"""Write many records at once: COPY into a temporary table, then statements that write only what differs.

A row says which of its columns it gives; the others stay as they are. A column that a person edited by hand
is given only where the caller decided so (see hand_edits.py), and an edit that is saved at the same time is
never overwritten.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.contrib.postgres.fields import ArrayField
from django.db import connection, models, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models.lookups import Lookup
from psycopg import sql

from apps.records.models import Record
from apps.skills.models import SkillUse
from apps.sql import load

Key = tuple[str, str]  # source, external id

# Names of the skills that a row has after it is written.
_SKILLS_TEXT = sql.SQL("""coalesce((
        SELECT string_agg(skill.name, ', ' ORDER BY skill.name COLLATE "C") FROM skills_skill AS skill
        WHERE skill.id = ANY ({stated} || incoming.found)), '')""")
_SKILLS_TEXT_OF_NEW = _SKILLS_TEXT.format(stated=sql.SQL("coalesce(incoming.stated, ARRAY[]::bigint[])"))
_STATED_NOW = sql.SQL("""coalesce(incoming.stated, ARRAY(
        SELECT u.skill_id FROM {use} AS u WHERE u.{key} = record.id AND u.origin = 'stated'))""")


@dataclass(slots=True)
class RecordRow:
    """One row to write: its columns by name, and the ids of its skills.

    `values` holds every column; those that are not in `given` count for a new row only. `stated` is None
    where the source names no skills, which leaves those of the row as they are. `known_edits` are the edits
    by hand that the caller saw, `new_edits` what they become.
    """

    values: dict[str, Any]
    stated: list[int] | None
    found: list[int]
    given: frozenset[str]
    known_edits: Mapping[str, Any] = field(default_factory=dict)
    new_edits: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """What the row is recognised by."""
        return self.values["source"], self.values["external_id"]


@dataclass(frozen=True)
class UpsertResult:
    """Primary keys by what happened to the row; a row of `unchanged` was not written at all.

    `edited` are the keys of rows that a person edited since the caller looked; they were not written.
    """

    inserted: list[int] = field(default_factory=list)
    updated: list[int] = field(default_factory=list)
    unchanged: list[int] = field(default_factory=list)
    edited: list[Key] = field(default_factory=list)

    @property
    def changed(self) -> list[int]:
        """Primary keys of the rows that were written."""
        return self.inserted + self.updated

    @property
    def all(self) -> list[int]:
        """Primary keys of all rows."""
        return self.changed + self.unchanged

    def __add__(self, other: "UpsertResult") -> "UpsertResult":
        return UpsertResult(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            other.edited,
        )


def _array(numbers: Sequence[float | None]) -> str:
    """In PostgreSQL's text form: psycopg would look at each element's type."""
    return f"{{{','.join(map(str, numbers))}}}".replace("None", "NULL")


class RecordTable:
    """The statements for one kind of record, built once from its model.

    `merged` are SQL expressions over `record` and `incoming` for columns whose value follows from others
    where the source does not give them.
    """

    def __init__(
        self,
        model: type[Record],
        use: type[SkillUse],
        *,
        key: str,
        columns: Sequence[str],
        merged: Mapping[str, str] | None = None,
    ) -> None:
        self.model = model
        self.columns = list(columns)
        self._bits = {name: 1 << number for number, name in enumerate(self.columns)}
        self._merged = dict(merged or {})
        self._fields: dict[str, models.Field[Any, Any]] = {
            str(each.column): each for each in model._meta.concrete_fields if each.column in columns
        }
        self._json = [
            number
            for number, name in enumerate(self.columns)
            if isinstance(self._fields[name], models.JSONField)
        ]
        self._arrays = [
            number for number, name in enumerate(self.columns) if isinstance(self._fields[name], ArrayField)
        ]
        self._names = {
            "table": sql.Identifier(model._meta.db_table),
            "use": sql.Identifier(use._meta.db_table),
            "key": sql.Identifier(key),
            "incoming": sql.Identifier(f"incoming_{model._meta.db_table}"),
            "columns": _listed(self.columns),
            "incoming_columns": _listed(self.columns, "incoming"),
        }

    def upsert(self, rows: Sequence[RecordRow]) -> UpsertResult:
        """Insert or update `rows` by source and external id; return what became of each.

        Runs in one transaction, and safely twice at once. Stated skills become exactly those given. Two rows
        of the same key must not be in one call.
        """
        with transaction.atomic(savepoint=False), connection.cursor() as cursor:
            cursor.execute(self._create())
            self._copy(cursor, rows)
            cursor.execute(self._statement("insert_records", skills_text=_SKILLS_TEXT_OF_NEW))
            inserted = [row[0] for row in cursor.fetchall()]
            cursor.execute(self._statement("add_skills_of_new_records"), {"inserted": inserted})
            updated, unchanged, edited = (
                self._update(cursor, inserted) if len(inserted) < len(rows) else ([], [], [])
            )
            cursor.execute(sql.SQL("TRUNCATE {incoming}").format(**self._names))
        return UpsertResult(inserted, updated, unchanged, edited)

    def _update(self, cursor: CursorWrapper, inserted: list[int]) -> tuple[list[int], list[int], list[Key]]:
        """Write the rows that were stored before: (updated, unchanged, keys of those just edited by hand)."""
        cursor.execute(self._update_statement(), {"inserted": inserted})
        updated = {row[0] for row in cursor.fetchall()}
        cursor.execute(self._statement("known_records"), {"inserted": inserted})
        known, edited = [], []
        for pk, source, external_id, is_as_seen in cursor.fetchall():
            if is_as_seen:
                known.append(pk)
            else:
                edited.append((source, external_id))
        cursor.execute(self._statement("remove_skills"), {"known": known})
        cursor.execute(self._statement("add_skills"), {"known": known})
        return sorted(updated), [pk for pk in known if pk not in updated], edited

    def _copy(self, cursor: CursorWrapper, rows: Sequence[RecordRow]) -> None:
        statement = sql.SQL(
            "COPY {incoming} ({columns}, given, known_edits, new_edits, stated, found) FROM STDIN"
        ).format(**self._names)
        # Django does not know COPY, so it would not turn psycopg's errors into its own.
        with connection.wrap_database_errors, cursor.copy(statement) as copy:
            bits: dict[frozenset[str], int] = {}  # rows of one file give the same fields
            for row in rows:
                values = [row.values[name] for name in self.columns]
                for number in self._json:
                    values[number] = orjson.dumps(values[number]).decode()
                for number in self._arrays:
                    values[number] = _array(values[number])
                given = bits.get(row.given)
                if given is None:
                    given = sum(self._bits[name] for name in row.given if name in self._bits)
                    bits[row.given] = given
                known, new = (
                    orjson.dumps(each).decode() if each else "{}" for each in (row.known_edits, row.new_edits)
                )
                stated = None if row.stated is None else _array(row.stated)
                copy.write_row([*values, given, known, new, stated, _array(row.found)])

    def _create(self) -> sql.Composed:
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(
                sql.Identifier(name), sql.SQL(str(self._fields[name].db_type(connection)))
            )
            for name in self.columns
        )
        return sql.SQL(
            "CREATE TEMPORARY TABLE IF NOT EXISTS {incoming} ({columns}, given bigint, "
            "known_edits jsonb, new_edits jsonb, stated bigint[], found bigint[])"
        ).format(**self._names | {"columns": columns})

    def _statement(self, name: str, **parts: sql.Composable) -> sql.Composed:
        """The statement in sql/NAME.sql for this kind of record."""
        return load(__file__, name).format(**self._names, **parts)

    def _update_statement(self) -> sql.Composed:
        names = [name for name in self.columns if name not in ("source", "external_id")]
        merged = {name: self._merge(name) for name in names}
        differs = sql.SQL(" OR ").join(
            sql.SQL("record.{} IS DISTINCT FROM {}").format(sql.Identifier(name), merged[name])
            for name in names
        )
        assigned = sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(name), merged[name]) for name in names
        )
        return self._statement(
            "update_records",
            differs=differs,
            assigned=assigned,
            skills_text=_SKILLS_TEXT.format(stated=_STATED_NOW.format(**self._names)),
        )

    def _merge(self, name: str) -> sql.Composed:
        """What the column becomes: the given value, else what it is."""
        otherwise = (
            sql.SQL(self._merged[name])
            if name in self._merged
            else sql.SQL("record.{}").format(sql.Identifier(name))
        )
        return sql.SQL("CASE WHEN incoming.given & {} <> 0 THEN incoming.{} ELSE {} END").format(
            sql.Literal(self._bits[name]), sql.Identifier(name), otherwise
        )

    def read(self, keys: Iterable[Key], *, only_edited: bool = False) -> list[Record]:
        """Return the stored rows with these keys; with `only_edited` only those that a person edited."""
        by_source: dict[str, list[str]] = {}
        for source, external_id in keys:
            by_source.setdefault(source, []).append(external_id)
        rows: list[Record] = []
        for source, external_ids in by_source.items():
            # One array: a thousand parameters would cost more than the lookups.
            found = self.model._default_manager.filter(
                AnyOf(models.F("external_id"), external_ids), source=source
            )
            rows += found.exclude(hand_edits={}) if only_edited else found
        return rows


class AnyOf(Lookup):
    """True where the left side is one of the values on the right, which travel as one array of texts."""

    prepare_rhs = False
    lookup_name = "any_of"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        """Return `lhs = ANY (array)`."""
        lhs, parameters = self.process_lhs(compiler, connection)
        return f"{lhs} = ANY (%s::text[])", (*parameters, list(self.rhs))


def _listed(names: Sequence[str], alias: str = "") -> sql.Composed:
    each = (sql.Identifier(alias, name) if alias else sql.Identifier(name) for name in names)
    return sql.SQL(", ").join(each)
