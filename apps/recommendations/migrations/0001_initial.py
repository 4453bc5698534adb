import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.db.models.deletion
from django.db import migrations, models

from apps.records.foreign_keys import cascading_key

# The languages that PostgreSQL 16 has a stemmer for, by the first part of their code.
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
    """Store terms out of line, since ranking reads rows but not their terms. Have finer statistics on terms.

    The statistics tell how rare a term is, and so whether it is searched for.
    """
    table = f"recommendations_{kind}text"
    return migrations.RunSQL(
        f"ALTER TABLE {table} SET (toast_tuple_target = 128); "
        f"ALTER TABLE {table} ALTER COLUMN terms SET STATISTICS 300",
        migrations.RunSQL.noop,
    )


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("candidates", "0001_initial"),
        ("postings", "0001_initial"),
    ]

    operations = [
        migrations.RunSQL(CONFIGURATION, "DROP FUNCTION jobrec_text_config(text)"),
        migrations.CreateModel(
            name="Interaction",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "action",
                    models.CharField(
                        choices=[
                            ("viewed", "Viewed"),
                            ("saved", "Saved"),
                            ("applied", "Applied"),
                            ("dismissed", "Dismissed"),
                        ],
                        max_length=9,
                    ),
                ),
                ("at", models.DateTimeField()),
                (
                    "candidate",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="interactions",
                        to="candidates.candidate",
                    ),
                ),
                (
                    "posting",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="interactions",
                        to="postings.posting",
                    ),
                ),
            ],
            options={
                "ordering": ["-at"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("candidate", "posting", "action"), name="interaction_once_per_action"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="CandidateText",
            fields=[
                ("part", models.PositiveSmallIntegerField(choices=[(0, "Title"), (1, "Whole")])),
                ("content_hash", models.BinaryField()),
                ("language", models.CharField(max_length=8)),
                ("terms", django.contrib.postgres.search.SearchVectorField()),
                ("term_count", models.PositiveIntegerField(help_text="Number of distinct terms")),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "candidate_id", "part", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "candidate",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="texts",
                        to="candidates.candidate",
                    ),
                ),
            ],
            options={
                "indexes": [
                    django.contrib.postgres.indexes.GinIndex(fields=["terms"], name="candidate_text_by_term"),
                    models.Index(models.F("language"), name="candidate_text_by_language"),
                    models.Index(
                        condition=models.Q(("part", 1)),
                        fields=["candidate"],
                        include=("content_hash", "language"),
                        name="candidate_text_content",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PostingText",
            fields=[
                ("part", models.PositiveSmallIntegerField(choices=[(0, "Title"), (1, "Whole")])),
                ("content_hash", models.BinaryField()),
                ("language", models.CharField(max_length=8)),
                ("terms", django.contrib.postgres.search.SearchVectorField()),
                ("term_count", models.PositiveIntegerField(help_text="Number of distinct terms")),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "posting_id", "part", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "posting",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="texts",
                        to="postings.posting",
                    ),
                ),
            ],
            options={
                "indexes": [
                    django.contrib.postgres.indexes.GinIndex(fields=["terms"], name="posting_text_by_term"),
                    models.Index(models.F("language"), name="posting_text_by_language"),
                    models.Index(
                        condition=models.Q(("part", 1)),
                        fields=["posting"],
                        include=("content_hash", "language"),
                        name="posting_text_content",
                    ),
                ],
            },
        ),
        *(
            cascading_key(table="recommendations_interaction", column=f"{kind}_id", references=record)
            for kind, record in TABLES.items()
        ),
        *(
            cascading_key(table=f"recommendations_{kind}text", column=f"{kind}_id", references=record)
            for kind, record in TABLES.items()
        ),
        *map(_storage, TABLES),
    ]
