"""Write many records at once: COPY into a temporary table, then set-based statements that touch only what differs.

A row says which of its columns it gives; the others stay as they are. A column that a person edited by hand
is given only where the caller decided so (see hand_edits.py), and an edit that is saved meanwhile is never
overwritten.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.db import connection, models, transaction
from django.db.backends.utils import CursorWrapper
from psycopg import sql

from apps.records.models import Record
from apps.skills.models import SkillUse

Key = tuple[str, str]  # source, external id


@dataclass(frozen=True)
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


def _array(ids: Sequence[int]) -> str:
    """In PostgreSQL's text form: psycopg would look at each element's type."""
    return f"{{{','.join(map(str, ids))}}}"


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
        self._json = {name for name, each in self._fields.items() if isinstance(each, models.JSONField)}
        self._names = {
            "table": sql.Identifier(model._meta.db_table),
            "use": sql.Identifier(use._meta.db_table),
            "key": sql.Identifier(key),
            "incoming": sql.Identifier(f"incoming_{model._meta.db_table}"),
            "columns": _listed(self.columns),
            "incoming_columns": _listed(self.columns, "incoming"),
        }

    def upsert(self, rows: Sequence[RecordRow]) -> UpsertResult:
        """Insert or update `rows` by source and external id, in one transaction. Safe to run twice at once.

        Stated skills become exactly those given. Two rows of the same key must not be in one call.
        """
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(self._create())
            self._copy(cursor, rows)
            cursor.execute(self._format(_INSERT))
            inserted = [row[0] for row in cursor.fetchall()]
            cursor.execute(self._format(_ADD_SKILLS_OF_NEW), [inserted])
            updated, unchanged, edited = (
                self._update(cursor, inserted) if len(inserted) < len(rows) else ([], [], [])
            )
            cursor.execute(self._format("TRUNCATE {incoming}"))
        return UpsertResult(inserted, updated, unchanged, edited)

    def _update(self, cursor: CursorWrapper, inserted: list[int]) -> tuple[list[int], list[int], list[Key]]:
        """Write the rows that were there before: (updated, unchanged, keys of those edited by hand meanwhile)."""
        cursor.execute(self._update_statement(), [inserted])
        updated = {row[0] for row in cursor.fetchall()}
        cursor.execute(self._format(_KNOWN), [inserted])
        known, edited = [], []
        for pk, source, external_id, is_as_seen in cursor.fetchall():
            if is_as_seen:
                known.append(pk)
            else:
                edited.append((source, external_id))
        cursor.execute(self._format(_REMOVE_SKILLS), [known])
        cursor.execute(self._format(_ADD_SKILLS), [known])
        return sorted(updated), [pk for pk in known if pk not in updated], edited

    def _copy(self, cursor: CursorWrapper, rows: Sequence[RecordRow]) -> None:
        statement = self._format(
            "COPY {incoming} ({columns}, given, known_edits, new_edits, stated, found) FROM STDIN"
        )
        # Django makes psycopg's errors its own in what it knows, and COPY is not among it.
        with connection.wrap_database_errors, cursor.copy(statement) as copy:
            for row in rows:
                values = [self._copied(row.values[name], name) for name in self.columns]
                given = sum(self._bits[name] for name in row.given if name in self._bits)
                known, new = (
                    orjson.dumps(each).decode() if each else "{}" for each in (row.known_edits, row.new_edits)
                )
                stated = None if row.stated is None else _array(row.stated)
                copy.write_row([*values, given, known, new, stated, _array(row.found)])

    def _copied(self, value: Any, name: str) -> Any:
        return orjson.dumps(value).decode() if name in self._json else value

    def _create(self) -> sql.Composed:
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(
                sql.Identifier(name), sql.SQL(str(self._fields[name].db_type(connection)))
            )
            for name in self.columns
        )
        return sql.SQL(
            "CREATE TEMPORARY TABLE IF NOT EXISTS {incoming} ({columns}, given bigint, known_edits jsonb, "
            "new_edits jsonb, "
            "stated bigint[], found bigint[])"
        ).format(**self._names | {"columns": columns})

    def _format(self, statement: str) -> sql.Composed:
        return sql.SQL(statement).format(**self._names)

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
        return sql.SQL(_UPDATE).format(**self._names, differs=differs, assigned=assigned)

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
        """Return the stored rows with these keys; with `only_edited` just those that a person edited by hand."""
        by_source: dict[str, list[str]] = {}
        for source, external_id in keys:
            by_source.setdefault(source, []).append(external_id)
        rows: list[Record] = []
        for source, external_ids in by_source.items():
            found = self.model._default_manager.filter(source=source, external_id__in=external_ids)
            rows += found.exclude(hand_edits={}) if only_edited else found
        return rows


def _listed(names: Sequence[str], alias: str = "") -> sql.Composed:
    each = (sql.Identifier(alias, name) if alias else sql.Identifier(name) for name in names)
    return sql.SQL(", ").join(each)


# Names of the skills that the row has afterwards.
_SKILLS_TEXT = """
    coalesce((SELECT string_agg(skill.name, ', ' ORDER BY skill.name COLLATE "C") FROM skills_skill AS skill
              WHERE skill.id = ANY (%s || incoming.found)), '')"""
_STATED_NOW = """
    coalesce(incoming.stated, ARRAY(
        SELECT u.skill_id FROM {use} AS u WHERE u.{key} = record.id AND u.origin = 'stated'))"""

_INSERT = f"""
    INSERT INTO {{table}} ({{columns}}, skills_text, created_at, updated_at)
    SELECT {{incoming_columns}}, {_SKILLS_TEXT % "coalesce(incoming.stated, ARRAY[]::bigint[])"}, now(), now()
    FROM {{incoming}} AS incoming
    WHERE NOT EXISTS (
        SELECT FROM {{table}} AS known
        WHERE known.source = incoming.source AND known.external_id = incoming.external_id)
    ORDER BY incoming.source, incoming.external_id
    ON CONFLICT (source, external_id) DO NOTHING
    RETURNING id
"""

# The rows that differ are locked in the order of their keys, so that two imports cannot block each other for
# good. What is written is computed from the row as it is after that, and a row that a person edited since the
# caller looked is left out. OFFSET 0 makes it one look into the index for each row: the planner would at
# times read the whole table.
_UPDATE = f"""
    WITH differing AS (
        SELECT record.id
        FROM {{incoming}} AS incoming
        JOIN LATERAL (
            SELECT * FROM {{table}} AS known
            WHERE known.source = incoming.source AND known.external_id = incoming.external_id OFFSET 0
        ) AS record ON true
        WHERE record.id <> ALL (%s)
            AND ({{differs}} OR record.hand_edits <> incoming.new_edits OR record.skills_text <> {_SKILLS_TEXT % _STATED_NOW})
    ), locked AS (
        SELECT record.id FROM {{table}} AS record WHERE record.id IN (SELECT id FROM differing)
        ORDER BY record.source, record.external_id FOR NO KEY UPDATE
    )
    UPDATE {{table}} AS record
    SET {{assigned}}, hand_edits = incoming.new_edits, skills_text = {_SKILLS_TEXT % _STATED_NOW}, updated_at = now()
    FROM {{incoming}} AS incoming, locked
    WHERE record.id = locked.id AND record.source = incoming.source AND record.external_id = incoming.external_id
        AND record.hand_edits = incoming.known_edits
    RETURNING record.id
"""

_ROWS = "{incoming} AS incoming JOIN {table} AS record USING (source, external_id)"
_KNOWN = f"""
    SELECT record.id, record.source, record.external_id, record.hand_edits IN (incoming.known_edits, incoming.new_edits)
    FROM {_ROWS} WHERE record.id <> ALL (%s)
"""
_REMOVE_SKILLS = f"""
    DELETE FROM {{use}} AS u USING {_ROWS}
    WHERE record.id = ANY (%s) AND u.{{key}} = record.id AND NOT u.skill_id = ANY (incoming.found)
        AND CASE WHEN incoming.stated IS NULL THEN u.origin = 'found' ELSE NOT u.skill_id = ANY (incoming.stated) END
"""
_WANTED_SKILLS = f"""
    INSERT INTO {{use}} ({{key}}, skill_id, origin)
    SELECT record.id, wanted.skill_id, wanted.origin
    FROM {_ROWS}
    CROSS JOIN LATERAL (
        SELECT unnest(incoming.stated) AS skill_id, 'stated' AS origin
        UNION ALL SELECT unnest(incoming.found), 'found') AS wanted
"""
# Nobody else sees these rows yet, so nothing can be in the way: ON CONFLICT would log each row twice.
_ADD_SKILLS_OF_NEW = f"{_WANTED_SKILLS} WHERE record.id = ANY (%s)"
_ADD_SKILLS = f"""
    {_WANTED_SKILLS}
    LEFT JOIN LATERAL (
        SELECT known.origin FROM {{use}} AS known
        WHERE known.{{key}} = record.id AND known.skill_id = wanted.skill_id OFFSET 0
    ) AS u ON true
    WHERE record.id = ANY (%s) AND u.origin IS DISTINCT FROM wanted.origin
        AND NOT (incoming.stated IS NULL AND u.origin IS NOT DISTINCT FROM 'stated')
    ON CONFLICT ({{key}}, skill_id) DO UPDATE SET origin = EXCLUDED.origin
"""
