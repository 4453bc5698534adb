"""Triggers that keep a record's `skills_text` equal to the sorted names of its skills.

In the database, so that every way of changing skills is covered: import, admin, GraphQL and plain SQL.
Set-based and silent where nothing changes, so that an import which already wrote the right text pays little.
"""

from django.db import migrations

_REFRESH = """
    UPDATE {record} SET skills_text = fresh.names, updated_at = now()
    FROM (SELECT touched.id, coalesce(string_agg(skill.name, ', ' ORDER BY skill.name COLLATE "C"), '') AS names
          FROM ({touched}) AS touched(id)
          LEFT JOIN {use} AS u ON u.{key} = touched.id
          LEFT JOIN skills_skill AS skill ON skill.id = u.skill_id
          GROUP BY touched.id) AS fresh
    WHERE {record}.id = fresh.id AND {record}.skills_text <> fresh.names;
"""


def skills_text_triggers(*, record: str, use: str, key: str) -> migrations.RunSQL:
    """The migration operation for table `record`, joined with skills by table `use` over its column `key`."""
    refresh_used = _REFRESH.format(
        record=record, use=use, key=key, touched=f"SELECT DISTINCT {key} FROM changed"
    )
    refresh_renamed = _REFRESH.format(
        record=record,
        use=use,
        key=key,
        touched=f"SELECT DISTINCT renamed.{key} FROM {use} AS renamed WHERE renamed.skill_id = NEW.id",
    )
    forward = [
        _function(f"{use}_refresh", refresh_used),
        _function(f"{use}_refresh_renamed", refresh_renamed),
    ]
    for event, rows in (("INSERT", "NEW"), ("DELETE", "OLD"), ("UPDATE", "NEW")):
        forward.append(
            f"CREATE TRIGGER {use}_{event.lower()} AFTER {event} ON {use} REFERENCING {rows} TABLE AS changed "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {use}_refresh();"
        )
    forward.append(
        f"CREATE TRIGGER {use}_renamed AFTER UPDATE OF name ON skills_skill FOR EACH ROW "
        f"WHEN (OLD.name <> NEW.name) EXECUTE FUNCTION {use}_refresh_renamed();"
    )
    backward = [
        f"DROP FUNCTION {use}_refresh_renamed() CASCADE;",
        f"DROP FUNCTION {use}_refresh() CASCADE;",
    ]
    return migrations.RunSQL("\n".join(forward), "\n".join(backward))


def _function(name: str, statement: str) -> str:
    return f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {statement} RETURN NULL; END $$;"
