"""Triggers that keep a record's `skills_text` equal to the sorted names of its skills.

They run in the database, so that every change of skills is covered: import, admin, GraphQL and plain SQL.
They work on sets and write nothing where the text is right already, so an import that wrote the right text
pays little.
"""

from django.db import migrations
from psycopg import sql

_CREATE = sql.SQL(
    """
    CREATE FUNCTION {refresh}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        {refresh_changed}
        RETURN NULL;
    END $$;
    CREATE FUNCTION {refresh_renamed}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        {refresh_with_skill}
        RETURN NULL;
    END $$;
    CREATE TRIGGER {insert} AFTER INSERT ON {use} REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION {refresh}();
    CREATE TRIGGER {delete} AFTER DELETE ON {use} REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION {refresh}();
    CREATE TRIGGER {update} AFTER UPDATE ON {use} REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION {refresh}();
    CREATE TRIGGER {renamed} AFTER UPDATE OF name ON skills_skill FOR EACH ROW
    WHEN (OLD.name <> NEW.name) EXECUTE FUNCTION {refresh_renamed}();
    """
)
_DROP = sql.SQL("DROP FUNCTION {refresh_renamed}() CASCADE; DROP FUNCTION {refresh}() CASCADE;")
_REFRESH = sql.SQL(
    """
    UPDATE {record} AS record SET skills_text = fresh.names, updated_at = now()
    FROM (
        SELECT touched.id, coalesce(string_agg(skill.name, ', ' ORDER BY skill.name COLLATE "C"), '') AS names
        FROM ({touched}) AS touched(id)
        LEFT JOIN {use} AS u ON u.{key} = touched.id
        LEFT JOIN skills_skill AS skill ON skill.id = u.skill_id
        GROUP BY touched.id
    ) AS fresh
    WHERE record.id = fresh.id AND record.skills_text <> fresh.names;
    """
)
_CHANGED = sql.SQL("SELECT DISTINCT {key} FROM changed")
_WITH_SKILL = sql.SQL("SELECT DISTINCT used.{key} FROM {use} AS used WHERE used.skill_id = NEW.id")


def skills_text_triggers(*, record: str, use: str, key: str) -> migrations.RunSQL:
    """Return the operation that creates the triggers of a record table.

    `use` is the table of its skills, with the foreign key `key`.
    """
    names = {"record": sql.Identifier(record), "use": sql.Identifier(use), "key": sql.Identifier(key)}
    for suffix in ("refresh", "refresh_renamed", "insert", "delete", "update", "renamed"):
        names[suffix] = sql.Identifier(f"{use}_{suffix}")
    create = _CREATE.format(
        refresh_changed=_REFRESH.format(touched=_CHANGED.format(**names), **names),
        refresh_with_skill=_REFRESH.format(touched=_WITH_SKILL.format(**names), **names),
        **names,
    )
    return migrations.RunSQL(create.as_string(), _DROP.format(**names).as_string())
