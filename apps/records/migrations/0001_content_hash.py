from django.db import migrations


class Migration(migrations.Migration):
    """The hash behind every generated `content_hash` column.

    sha256 over the parts, joined by the unit separator. convert_to() is only STABLE because the database encoding
    is an argument of its kind; with a constant encoding the result never changes, so IMMUTABLE is true.
    """

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
