"""Foreign keys that PostgreSQL itself cascades.

Django 5.2 deletes dependent rows from Python, so that a DELETE in plain SQL would be refused. Rows of these tables
mean nothing without their record: the database removes them, whoever deletes the record.
"""

from django.db import migrations


def cascading_key(*, table: str, column: str, references: str) -> migrations.RunSQL:
    """The migration operation for `table`.`column`, declared with `db_constraint=False` in the model."""
    name = f"{table}_{column}_cascades"
    return migrations.RunSQL(
        f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({column}) REFERENCES {references} (id) "
        "ON DELETE CASCADE",
        f"ALTER TABLE {table} DROP CONSTRAINT {name}",
    )
