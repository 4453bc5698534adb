"""Foreign keys with ON DELETE CASCADE in PostgreSQL itself.

Django 5.2 deletes dependent rows from Python, so a DELETE in plain SQL would fail. Rows of these tables mean
nothing without their record, so the database deletes them, no matter who deletes the record.
"""

from django.db import migrations
from psycopg import sql


def cascading_key(*, table: str, column: str, references: str) -> migrations.RunSQL:
    """Return the operation that adds the key; the model declares the column with `db_constraint=False`."""
    names = {
        "table": sql.Identifier(table),
        "key": sql.Identifier(f"{table}_{column}_cascades"),
        "column": sql.Identifier(column),
        "references": sql.Identifier(references),
    }
    forward = sql.SQL(
        "ALTER TABLE {table} ADD CONSTRAINT {key} FOREIGN KEY ({column}) REFERENCES {references} (id) "
        "ON DELETE CASCADE"
    )
    backward = sql.SQL("ALTER TABLE {table} DROP CONSTRAINT {key}")
    return migrations.RunSQL(forward.format(**names).as_string(), backward.format(**names).as_string())
