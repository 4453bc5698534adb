from django.db import migrations

from apps.records.foreign_keys import cascading_key

# The languages for which PostgreSQL 16 brings a stemmer, by the first part of their code.
LANGUAGES = {
    "ar": "arabic",
    "ca": "catalan",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "eu": "basque",
    "fi": "finnish",
    "fr": "french",
    "ga": "irish",
    "hi": "hindi",
    "hu": "hungarian",
    "hy": "armenian",
    "id": "indonesian",
    "it": "italian",
    "lt": "lithuanian",
    "nb": "norwegian",
    "ne": "nepali",
    "nl": "dutch",
    "nn": "norwegian",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sr": "serbian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
    "yi": "yiddish",
}

CONFIGURATION = """
CREATE FUNCTION jobrec_text_config(language text) RETURNS regconfig
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE split_part(replace(lower(language), '_', '-'), '-', 1)
    {cases}
    ELSE 'pg_catalog.simple'::regconfig
END;
""".format(
    cases="\n    ".join(
        f"WHEN '{code}' THEN 'pg_catalog.{name}'::regconfig" for code, name in LANGUAGES.items()
    )
)

TABLES = {"posting": "postings_posting", "candidate": "candidates_candidate"}


def _storage(kind: str) -> migrations.RunSQL:
    """Words out of line: ranking reads the rows that an index of words names, never the words themselves.

    With finer statistics on them: how rare a word is decides whether it is searched for.
    """
    table = f"recommendations_{kind}text"
    return migrations.RunSQL(
        f"ALTER TABLE {table} SET (toast_tuple_target = 128); "
        f"ALTER TABLE {table} ALTER COLUMN words SET STATISTICS 300",
        migrations.RunSQL.noop,
    )


class Migration(migrations.Migration):
    dependencies = [("recommendations", "0003_texts")]
    operations = [
        migrations.RunSQL(CONFIGURATION, "DROP FUNCTION jobrec_text_config(text)"),
        *(
            cascading_key(table=f"recommendations_{kind}text", column=f"{kind}_id", references=record)
            for kind, record in TABLES.items()
        ),
        *map(_storage, TABLES),
    ]
