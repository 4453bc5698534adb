"""Writing many records at once: COPY into a temporary table, then set-based statements that touch only what differs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, models, transaction
from django.db.backends.utils import CursorWrapper

from apps.records.models import Record
from apps.skills.models import SkillUse


@dataclass(frozen=True)
class RecordRow:
    """One row to write: its columns by name, and the ids of its skills."""

    values: dict[str, Any]
    stated: list[int]
    found: list[int]


@dataclass(frozen=True)
class Upserted:
    """Primary keys by what happened to the row; a row of `unchanged` was not written at all."""

    inserted: list[int] = field(default_factory=list)
    updated: list[int] = field(default_factory=list)
    unchanged: list[int] = field(default_factory=list)

    @property
    def changed(self) -> list[int]:
        return self.inserted + self.updated


def _array(ids: Sequence[int]) -> str:
    """In PostgreSQL's text form: psycopg would look at each element's type."""
    return f"{{{','.join(map(str, ids))}}}"


class RecordTable:
    """The statements for one kind of record, built once from its model."""

    def __init__(self, model: type[Record], use: type[SkillUse], *, key: str, columns: Sequence[str]) -> None:
        self.table, self.use, self.key = model._meta.db_table, use._meta.db_table, key
        self.incoming = f"incoming_{self.table}"
        self.columns = list(columns)
        self._fields: dict[str, models.Field[Any, Any]] = {
            str(f.column): f for f in model._meta.concrete_fields if f.column in columns
        }

    def upsert(self, rows: Sequence[RecordRow]) -> Upserted:
        """Inserts or updates `rows` by source and external id, in one transaction. Safe to run twice at once.

        Skills become exactly those given. Two rows of the same key must not be in one call.
        """
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(self._create())
            # Django makes psycopg's errors its own in what it knows, and COPY is not among it.
            with (
                connection.wrap_database_errors,
                cursor.copy(
                    f"COPY {self.incoming} ({', '.join(self.columns)}, stated, found) FROM STDIN"
                ) as copy,
            ):
                for row in rows:
                    values = map(row.values.__getitem__, self.columns)
                    copy.write_row([*values, _array(row.stated), _array(row.found)])
            cursor.execute(self._upsert_records())
            written = dict(cursor.fetchall())
            inserted = [pk for pk, new in written.items() if new]
            cursor.execute(self._add_skills_of_new(), [inserted])
            known = self._replace_skills(cursor, inserted) if len(inserted) < len(rows) else []
            cursor.execute(f"TRUNCATE {self.incoming}")
        return Upserted(
            inserted=inserted,
            updated=[pk for pk, new in written.items() if not new],
            unchanged=[pk for pk in known if pk not in written],
        )

    def _replace_skills(self, cursor: CursorWrapper, inserted: list[int]) -> list[int]:
        """Of the rows that were there before; returns their primary keys."""
        cursor.execute(self._known(), [inserted])
        known = [row[0] for row in cursor.fetchall()]
        cursor.execute(self._remove_skills(), [inserted])
        cursor.execute(self._add_skills(), [inserted])
        return known

    def _create(self) -> str:
        columns = ", ".join(f"{name} {self._fields[name].db_type(connection)}" for name in self.columns)
        return f"CREATE TEMPORARY TABLE IF NOT EXISTS {self.incoming} ({columns}, stated bigint[], found bigint[])"

    def _upsert_records(self) -> str:
        # The join leaves equal rows out before the INSERT: even an ON CONFLICT … WHERE false locks, so writes, a row.
        # OFFSET 0 makes it one look into the index for each row: the planner would at times read the whole table.
        names = [*self.columns, "skills_text"]
        fresh, old = (", ".join(f"{alias}.{name}" for name in names) for alias in ("fresh", "old"))
        new_values = ", ".join(f"{name} = EXCLUDED.{name}" for name in names)
        return f"""
            WITH fresh AS (
                SELECT incoming.*, coalesce((
                    SELECT string_agg(skill.name, ', ' ORDER BY skill.name COLLATE "C") FROM skills_skill AS skill
                    WHERE skill.id = ANY (incoming.stated || incoming.found)), '') AS skills_text
                FROM {self.incoming} AS incoming
            )
            INSERT INTO {self.table} ({", ".join(names)}, created_at, updated_at)
            SELECT {fresh}, now(), now()
            FROM fresh LEFT JOIN LATERAL (
                SELECT * FROM {self.table} AS known
                WHERE known.source = fresh.source AND known.external_id = fresh.external_id OFFSET 0
            ) AS old ON true
            WHERE old.id IS NULL OR ROW({old}) IS DISTINCT FROM ROW({fresh})
            ORDER BY fresh.source, fresh.external_id
            ON CONFLICT (source, external_id) DO UPDATE SET {new_values}, updated_at = now()
            RETURNING id, xmax = 0
        """

    def _rows(self) -> str:
        return f"{self.incoming} AS incoming JOIN {self.table} AS record USING (source, external_id)"

    def _known(self) -> str:
        return f"SELECT record.id FROM {self._rows()} WHERE record.id <> ALL (%s)"

    def _remove_skills(self) -> str:
        return f"""
            DELETE FROM {self.use} AS u
            USING {self._rows()}
            WHERE record.id <> ALL (%s)
            AND u.{self.key} = record.id AND NOT u.skill_id = ANY (incoming.stated || incoming.found)
        """

    def _wanted_skills(self) -> str:
        return f"""
            INSERT INTO {self.use} ({self.key}, skill_id, origin)
            SELECT record.id, wanted.skill_id, wanted.origin
            FROM {self._rows()}
            CROSS JOIN LATERAL (
                SELECT unnest(incoming.stated) AS skill_id, 'stated' AS origin
                UNION ALL SELECT unnest(incoming.found), 'found') AS wanted
        """

    def _add_skills_of_new(self) -> str:
        # Nobody else sees these rows yet, so nothing can be in the way: ON CONFLICT would log each row twice.
        return f"{self._wanted_skills()} WHERE record.id = ANY (%s)"

    def _add_skills(self) -> str:
        return f"""
            {self._wanted_skills()}
            LEFT JOIN LATERAL (
                SELECT known.origin FROM {self.use} AS known
                WHERE known.{self.key} = record.id AND known.skill_id = wanted.skill_id OFFSET 0
            ) AS u ON true
            WHERE record.id <> ALL (%s) AND u.origin IS DISTINCT FROM wanted.origin
            ON CONFLICT ({self.key}, skill_id) DO UPDATE SET origin = EXCLUDED.origin
        """
