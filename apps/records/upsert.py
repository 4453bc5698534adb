"""Write many records at once: COPY into a temporary table, then statements that write only what differs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, models, transaction
from django.db.backends.utils import CursorWrapper
from psycopg.sql import SQL, Composable, Composed, Identifier

from apps.records.models import Record
from apps.skills.models import SkillUse
from apps.sql import load

_CREATE = SQL(
    "CREATE TEMPORARY TABLE IF NOT EXISTS {incoming} ({definitions}, stated bigint[], found bigint[])"
)
_COPY = SQL("COPY {incoming} ({incoming_columns}, stated, found) FROM STDIN")
_RECORDS = SQL("{incoming} AS incoming JOIN {table} AS record USING (source, external_id)")
_SELECT_STORED = SQL("SELECT record.id FROM {records} WHERE record.id <> ALL (%s)")
_DELETE_SKILLS = SQL(
    """
    DELETE FROM {use} AS u
    USING {records}
    WHERE record.id <> ALL (%s)
    AND u.{key} = record.id AND NOT u.skill_id = ANY (incoming.stated || incoming.found)
    """
)
_SELECT_SKILLS = SQL(
    """
    SELECT record.id, wanted.skill_id, wanted.origin
    FROM {records}
    CROSS JOIN LATERAL (
        SELECT unnest(incoming.stated) AS skill_id, 'stated' AS origin
        UNION ALL SELECT unnest(incoming.found), 'found') AS wanted
    """
)
# No other transaction sees new rows yet, so nothing can conflict, and ON CONFLICT would log each row twice.
_INSERT_SKILLS_OF_NEW = SQL("INSERT INTO {use} ({key}, skill_id, origin) {skills} WHERE record.id = ANY (%s)")
_INSERT_SKILLS = SQL(
    """
    INSERT INTO {use} ({key}, skill_id, origin) {skills}
    LEFT JOIN LATERAL (
        SELECT known.origin FROM {use} AS known
        WHERE known.{key} = record.id AND known.skill_id = wanted.skill_id OFFSET 0
    ) AS u ON true
    WHERE record.id <> ALL (%s) AND u.origin IS DISTINCT FROM wanted.origin
    ON CONFLICT ({key}, skill_id) DO UPDATE SET origin = EXCLUDED.origin
    """
)
_EMPTY = SQL("TRUNCATE {incoming}")


@dataclass(frozen=True)
class RecordRow:
    """One row to write: its columns by name, and the ids of its skills."""

    values: dict[str, Any]
    stated: list[int]
    found: list[int]


@dataclass(frozen=True)
class UpsertResult:
    """Primary keys by what happened to the row. Rows of `unchanged` were not written at all."""

    inserted: list[int] = field(default_factory=list)
    updated: list[int] = field(default_factory=list)
    unchanged: list[int] = field(default_factory=list)

    @property
    def changed(self) -> list[int]:
        """All rows that were written."""
        return self.inserted + self.updated


class RecordTable:
    """The table of one kind of record, and the table `use` of its skills with its foreign key `key`."""

    def __init__(self, model: type[Record], use: type[SkillUse], *, key: str, columns: Sequence[str]) -> None:
        self.columns = list(columns)
        fields = {str(each.column): each for each in model._meta.concrete_fields}
        self._fields: dict[str, models.Field[Any, Any]] = {name: fields[name] for name in columns}
        written = [*columns, "skills_text"]
        names: dict[str, Composable] = {
            "table": Identifier(model._meta.db_table),
            "incoming": Identifier(f"incoming_{model._meta.db_table}"),
            "use": Identifier(use._meta.db_table),
            "key": Identifier(key),
            "incoming_columns": _listed("{name}", columns),
            "columns": _listed("{name}", written),
            "fresh_columns": _listed("fresh.{name}", written),
            "stored_columns": _listed("stored.{name}", written),
            "assignments": _listed("{name} = EXCLUDED.{name}", written),
        }
        names["records"] = _RECORDS.format(**names)
        names["skills"] = _SELECT_SKILLS.format(**names)
        self._names = names

    def upsert(self, rows: Sequence[RecordRow]) -> UpsertResult:
        """Insert or update `rows` by source and external id, in one transaction. Safe to run twice at once.

        Each row's skills become exactly those given. No two rows may have the same key.
        """
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_CREATE.format(definitions=self._definitions(), **self._names))
            # Django translates psycopg's errors only in methods that it knows, and COPY is not one of them.
            with connection.wrap_database_errors, cursor.copy(_COPY.format(**self._names)) as copy:
                for row in rows:
                    values = map(row.values.__getitem__, self.columns)
                    copy.write_row([*values, _array(row.stated), _array(row.found)])
            cursor.execute(load(__file__, "upsert_records").format(**self._names))
            written = dict(cursor.fetchall())
            inserted = [pk for pk, is_new in written.items() if is_new]
            cursor.execute(_INSERT_SKILLS_OF_NEW.format(**self._names), [inserted])
            stored = self._replace_skills(cursor, inserted) if len(inserted) < len(rows) else []
            cursor.execute(_EMPTY.format(**self._names))
        return UpsertResult(
            inserted=inserted,
            updated=[pk for pk, is_new in written.items() if not is_new],
            unchanged=[pk for pk in stored if pk not in written],
        )

    def _replace_skills(self, cursor: CursorWrapper, inserted: list[int]) -> list[int]:
        """Replace the skills of the rows that were stored before; return the primary keys of these rows."""
        cursor.execute(_SELECT_STORED.format(**self._names), [inserted])
        stored = [row[0] for row in cursor.fetchall()]
        cursor.execute(_DELETE_SKILLS.format(**self._names), [inserted])
        cursor.execute(_INSERT_SKILLS.format(**self._names), [inserted])
        return stored

    def _definitions(self) -> Composed:
        """Name and type of each incoming column. Computed late: types depend on the connection."""
        types = {name: str(each.db_type(connection)) for name, each in self._fields.items()}
        return SQL(", ").join(
            SQL("{} {}").format(Identifier(name), SQL(kind)) for name, kind in types.items()
        )


def _listed(item: str, names: Sequence[str]) -> Composed:
    """`item` for each of `names`, separated by commas."""
    return SQL(", ").join(SQL(item).format(name=Identifier(name)) for name in names)


def _array(ids: Sequence[int]) -> str:
    """Return an array in PostgreSQL's text form: psycopg would inspect the type of each element."""
    return f"{{{','.join(map(str, ids))}}}"
