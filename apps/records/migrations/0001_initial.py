from django.db import migrations


class Migration(migrations.Migration):
    """Create the hash function of every generated `content_hash` column.

    It is sha256 over the parts, joined by the unit separator. PostgreSQL calls convert_to() STABLE only
    because its encoding is an argument; with a constant encoding the result never changes, so IMMUTABLE is
    correct.
    """

    initial = True
    operations = [
        migrations.RunSQL(
            r"""
            CREATE FUNCTION jobrec_content_hash(VARIADIC parts text[]) RETURNS bytea
            LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
            RETURN sha256(convert_to(array_to_string(parts, E'\x1f'), 'UTF8'));
            """,
            "DROP FUNCTION jobrec_content_hash(text[])",
        )
    ]
