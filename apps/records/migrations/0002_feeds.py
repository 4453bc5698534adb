import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Create the record of imports, and the functions by which places are folded and found.

    They are IMMUTABLE: normalize() and lower() depend on nothing but the text and the database's collation,
    which does not change. The Python twin of `jobrec_fold` is `apps.records.normalizing.folding.fold`; a test
    compares the two.
    """

    dependencies = [
        ("records", "0001_initial"),
    ]

    operations = [
        migrations.RunSQL(
            r"""
            CREATE FUNCTION jobrec_fold(value text) RETURNS text
            LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
            RETURN CASE
                WHEN value ~ '^[ -~]*$' THEN lower(btrim(regexp_replace(value, '\s+', ' ', 'g')))
                ELSE btrim(regexp_replace(normalize(regexp_replace(normalize(
                    replace(replace(replace(replace(
                        translate(lower(normalize(value, NFKC)), 'øđðłıħς', 'oddlihσ'),
                        'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'),
                    NFD), '[\u0300-\u036f]', '', 'g'), NFC), '\s+', ' ', 'g'))
            END;

            CREATE FUNCTION jobrec_place_names(city text, region text, country text, places jsonb)
            RETURNS text[]
            LANGUAGE sql IMMUTABLE PARALLEL SAFE
            RETURN CASE
                WHEN city = '' AND region = '' AND country = '' AND places = '[]' THEN ARRAY[]::text[]
                ELSE ARRAY(
                    SELECT DISTINCT name FROM (
                        SELECT jobrec_fold(city) AS c, jobrec_fold(region) AS r, jobrec_fold(country) AS n
                        UNION ALL
                        SELECT jobrec_fold(coalesce(place ->> 'city', '')),
                               jobrec_fold(coalesce(place ->> 'region', '')),
                               jobrec_fold(coalesce(place ->> 'country', ''))
                        FROM jsonb_array_elements(places) AS place) AS each
                    CROSS JOIN LATERAL (
                        VALUES (c), (r), (n), (c || '|' || r), (c || '|' || n), (r || '|' || n)) AS one(name)
                    WHERE name <> '' AND name NOT LIKE '|%' AND name NOT LIKE '%|'
                    ORDER BY name)
            END;
            """,  # noqa: RUF001  a Greek letter
            "DROP FUNCTION jobrec_place_names(text, text, text, jsonb); DROP FUNCTION jobrec_fold(text)",
        ),
        migrations.CreateModel(
            name="Import",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("posting", "Postings"), ("candidate", "Candidates")], max_length=9
                    ),
                ),
                ("source", models.CharField(max_length=64)),
                ("file", models.CharField(help_text="Path or address", max_length=2000)),
                ("digest", models.CharField(blank=True, max_length=64)),
                ("mapping", models.TextField(blank=True)),
                ("by", models.CharField(blank=True, max_length=150, verbose_name="who")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("running", "Running"),
                            ("finished", "Finished"),
                            ("failed", "Failed"),
                            ("interrupted", "Interrupted"),
                        ],
                        default="running",
                        max_length=11,
                    ),
                ),
                ("error", models.TextField(blank=True)),
                ("started_at", models.DateTimeField(auto_now_add=True)),
                ("beat_at", models.DateTimeField(auto_now_add=True, help_text="Last sign of life")),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "complete",
                    models.BooleanField(default=False, help_text="The file holds all rows of the source"),
                ),
                ("rows", models.PositiveBigIntegerField(default=0)),
                ("inserted", models.PositiveBigIntegerField(default=0)),
                ("updated", models.PositiveBigIntegerField(default=0)),
                ("unchanged", models.PositiveBigIntegerField(default=0)),
                ("repeated", models.PositiveBigIntegerField(default=0)),
                ("rejected", models.PositiveBigIntegerField(default=0)),
                ("conflicts", models.PositiveBigIntegerField(default=0)),
                ("closed", models.PositiveBigIntegerField(default=0)),
                ("reasons", models.JSONField(default=dict)),
                ("etag", models.CharField(blank=True, max_length=300)),
                ("last_modified", models.CharField(blank=True, max_length=100)),
                (
                    "continues",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="records.import",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="ImportNote",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("rejected", "Rejected"), ("conflict", "Conflict with an edit by hand")],
                        max_length=8,
                    ),
                ),
                ("line", models.PositiveBigIntegerField(default=0)),
                ("external_id", models.CharField(blank=True, max_length=200)),
                ("reasons", models.JSONField(default=list)),
                (
                    "row",
                    models.JSONField(
                        blank=True, help_text="The row as it was; None where it cannot be read", null=True
                    ),
                ),
                (
                    "of",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="notes", to="records.import"
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="Sighting",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kind", models.CharField(max_length=9)),
                ("row_id", models.PositiveBigIntegerField()),
                ("seen_at", models.DateTimeField()),
                (
                    "seen_in",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="records.import"
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="import",
            index=models.Index(fields=["source", "kind", "-id"], name="import_by_source"),
        ),
        migrations.AddConstraint(
            model_name="sighting",
            constraint=models.UniqueConstraint(fields=("kind", "row_id"), name="sighting_once"),
        ),
    ]
