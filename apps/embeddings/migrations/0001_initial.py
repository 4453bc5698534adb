import django.contrib.postgres.fields
import django.db.models.deletion
import pgvector.django.halfvec
from django.db import migrations, models
from pgvector.django import VectorExtension

from apps.records.foreign_keys import cascading_key

# The vectors have no foreign key to their model, which PostgreSQL would check for each of them.
DELETE_VECTORS = """
    CREATE FUNCTION embeddings_delete_vectors_of_model() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        DELETE FROM embeddings_postingembedding WHERE model_id = OLD.id;
        DELETE FROM embeddings_candidateembedding WHERE model_id = OLD.id;
        RETURN NULL;
    END $$;
    CREATE TRIGGER embeddings_delete_vectors_of_model AFTER DELETE ON embeddings_embeddingmodel
    FOR EACH ROW EXECUTE FUNCTION embeddings_delete_vectors_of_model();
"""
# Packed half floats do not compress, and trying costs more than the copy.
STORAGE = """
    ALTER TABLE embeddings_embeddingchunk
        ALTER COLUMN vectors SET STORAGE EXTERNAL,
        ALTER COLUMN embedded_hashes SET STORAGE EXTERNAL,
        ALTER COLUMN embedded_ids SET STORAGE EXTERNAL
"""
# Each chunk is updated four times, and its vectors come and go. By default, PostgreSQL would vacuum only
# when a fifth of the table is dead.
VACUUM = """
    ALTER TABLE embeddings_embeddingchunk SET (
        autovacuum_vacuum_scale_factor = 0.02, toast.autovacuum_vacuum_scale_factor = 0.02, fillfactor = 70)
"""
NO_VACUUM = """
    ALTER TABLE embeddings_embeddingchunk RESET (
        autovacuum_vacuum_scale_factor, toast.autovacuum_vacuum_scale_factor, fillfactor)
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("candidates", "0001_initial"),
        ("postings", "0001_initial"),
    ]

    operations = [
        VectorExtension(),
        migrations.CreateModel(
            name="EmbeddingModel",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(help_text="Name on a model hub, or a local folder", max_length=200),
                ),
                (
                    "weights",
                    models.CharField(
                        default="main", help_text="The hub's branch, tag or commit", max_length=100
                    ),
                ),
                (
                    "template",
                    models.PositiveSmallIntegerField(default=1, help_text="Version of the text template"),
                ),
                (
                    "windows",
                    models.PositiveSmallIntegerField(
                        default=8,
                        help_text="Texts are cut after this many model windows; 1 embeds only the first",
                    ),
                ),
                (
                    "revision",
                    models.CharField(
                        help_text="Weights, text template and windows in one name", max_length=120
                    ),
                ),
                ("dimensions", models.PositiveSmallIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[("filling", "Filling"), ("active", "Active"), ("retired", "Retired")],
                        default="filling",
                        max_length=7,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("activated_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ["-id"],
                "constraints": [
                    models.UniqueConstraint(fields=("name", "revision"), name="embedding_model_once"),
                    models.UniqueConstraint(
                        condition=models.Q(("state", "active")),
                        fields=("state",),
                        name="embedding_model_one_active",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("dimensions__range", (1, 4000))),
                        name="embedding_model_dimensions",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("windows__gte", 1)), name="embedding_model_windows"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="EmbeddingRun",
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
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("planned", "Planned"),
                            ("running", "Running"),
                            ("paused", "Paused"),
                            ("finished", "Finished"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="planned",
                        max_length=9,
                    ),
                ),
                (
                    "reason",
                    models.CharField(blank=True, help_text="Who or what requested the run", max_length=200),
                ),
                ("paused_because", models.CharField(blank=True, max_length=500)),
                (
                    "pauses",
                    models.PositiveSmallIntegerField(
                        default=0, help_text="Pauses since a chunk was last written"
                    ),
                ),
                (
                    "resume_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When the sweeper resumes a paused run; empty: when somebody does",
                        null=True,
                    ),
                ),
                (
                    "pulled_from",
                    models.CharField(
                        blank=True,
                        help_text="Embedding server that supplies the vectors; empty: local workers embed",
                        max_length=200,
                    ),
                ),
                ("rows", models.PositiveIntegerField(default=0)),
                (
                    "bytes_total",
                    models.PositiveBigIntegerField(
                        default=0, help_text="Length of the texts, as far as the model reads them"
                    ),
                ),
                ("waves", models.PositiveIntegerField(default=0)),
                (
                    "next_wave",
                    models.PositiveIntegerField(default=0, help_text="The first wave that has not been sent"),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "finishes",
                    models.PositiveSmallIntegerField(
                        default=0,
                        help_text="How often it was finished: once, and once more after each replay",
                    ),
                ),
                (
                    "indexed_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When the indexes were checked or built, after the last chunk",
                        null=True,
                    ),
                ),
                (
                    "model",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="runs",
                        to="embeddings.embeddingmodel",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="EmbeddingChunk",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("wave", models.PositiveIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("planned", "Planned"),
                            ("leased", "Being embedded"),
                            ("embedded", "Embedded"),
                            ("written", "Written"),
                            ("failed", "Failed"),
                        ],
                        default="planned",
                        max_length=8,
                    ),
                ),
                (
                    "row_ids",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None),
                ),
                ("rows", models.PositiveIntegerField()),
                (
                    "text_bytes",
                    models.PositiveBigIntegerField(
                        help_text="Length of the texts, as far as the model reads them"
                    ),
                ),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                (
                    "isolated",
                    models.BooleanField(
                        default=False,
                        help_text="Encoded in a subprocess: it cost workers, or its rows were dead letters",
                    ),
                ),
                ("lease", models.UUIDField(blank=True, null=True)),
                ("leased_until", models.DateTimeField(blank=True, null=True)),
                ("worker", models.CharField(blank=True, max_length=200)),
                ("sent_at", models.DateTimeField(blank=True, null=True)),
                ("embedded_at", models.DateTimeField(blank=True, null=True)),
                ("written_at", models.DateTimeField(blank=True, null=True)),
                ("error", models.TextField(blank=True)),
                (
                    "embedded_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), blank=True, null=True, size=None
                    ),
                ),
                (
                    "embedded_hashes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BinaryField(), blank=True, null=True, size=None
                    ),
                ),
                (
                    "vectors",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=pgvector.django.halfvec.HalfVectorField(), blank=True, null=True, size=None
                    ),
                ),
                ("rows_written", models.PositiveIntegerField(default=0)),
                (
                    "rows_reused",
                    models.PositiveIntegerField(
                        default=0, help_text="Rows that share the vector of an equal text"
                    ),
                ),
                (
                    "rows_skipped",
                    models.PositiveIntegerField(
                        default=0, help_text="Rows edited or deleted while the chunk was embedded"
                    ),
                ),
                ("rows_dead", models.PositiveIntegerField(default=0)),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="chunks",
                        to="embeddings.embeddingrun",
                    ),
                ),
            ],
            options={
                "ordering": ["run", "number"],
            },
        ),
        migrations.CreateModel(
            name="DeadLetter",
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
                ("row_id", models.BigIntegerField()),
                ("content_hash", models.BinaryField()),
                ("step", models.CharField(max_length=20)),
                ("error", models.CharField(max_length=500)),
                ("traceback", models.TextField(blank=True)),
                ("attempts", models.PositiveSmallIntegerField(default=1)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("replayed", "Replayed"),
                            ("cleared", "Cleared"),
                            ("discarded", "Discarded"),
                        ],
                        default="open",
                        max_length=9,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "chunk",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="dead_letters",
                        to="embeddings.embeddingchunk",
                    ),
                ),
                (
                    "model",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="embeddings.embeddingmodel",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="dead_letters",
                        to="embeddings.embeddingrun",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="Invalidation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "acknowledged_by",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=200), blank=True, default=list, size=None
                    ),
                ),
                (
                    "acknowledged_at",
                    models.DateTimeField(
                        blank=True, help_text="When the last sidecar acknowledged it", null=True
                    ),
                ),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("error", models.CharField(blank=True, max_length=500)),
                (
                    "run",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="invalidation",
                        to="embeddings.embeddingrun",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="PostingEmbedding",
            fields=[
                ("content_hash", models.BinaryField()),
                ("vector", pgvector.django.halfvec.HalfVectorField()),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "posting_id",
                        "model_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "model",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="embeddings.embeddingmodel",
                    ),
                ),
                (
                    "posting",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="embeddings",
                        to="postings.posting",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="CandidateEmbedding",
            fields=[
                ("content_hash", models.BinaryField()),
                ("vector", pgvector.django.halfvec.HalfVectorField()),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "candidate_id",
                        "model_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "candidate",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="embeddings",
                        to="candidates.candidate",
                    ),
                ),
                (
                    "model",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="embeddings.embeddingmodel",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        models.F("model"), models.F("content_hash"), name="candidate_embed_by_content"
                    ),
                    models.Index(
                        fields=["model", "candidate"],
                        include=("content_hash",),
                        name="candidate_embedding_content",
                    ),
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="embeddingrun",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ["planned", "running", "paused"])),
                fields=("kind", "model"),
                name="embedding_run_one_open",
            ),
        ),
        migrations.AddIndex(
            model_name="embeddingchunk",
            index=models.Index(models.F("run"), models.F("wave"), name="embedding_chunk_by_wave"),
        ),
        migrations.AddIndex(
            model_name="embeddingchunk",
            index=models.Index(
                models.F("run"),
                models.F("state"),
                condition=models.Q(("state__in", ["written", "failed"]), _negated=True),
                name="embedding_chunk_open",
            ),
        ),
        migrations.AddConstraint(
            model_name="embeddingchunk",
            constraint=models.UniqueConstraint(fields=("run", "number"), name="embedding_chunk_once"),
        ),
        migrations.AddIndex(
            model_name="deadletter",
            index=models.Index(
                models.F("model"),
                models.F("kind"),
                models.F("row_id"),
                condition=models.Q(("state__in", ["open", "discarded"])),
                name="dead_letter_held",
            ),
        ),
        migrations.AddConstraint(
            model_name="deadletter",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "open")),
                fields=("kind", "row_id", "model"),
                name="dead_letter_one_open",
            ),
        ),
        migrations.AddIndex(
            model_name="postingembedding",
            index=models.Index(
                models.F("model"), models.F("content_hash"), name="posting_embedding_by_content"
            ),
        ),
        migrations.AddIndex(
            model_name="postingembedding",
            index=models.Index(
                fields=["model", "posting"], include=("content_hash",), name="posting_embedding_content"
            ),
        ),
        cascading_key(
            table="embeddings_postingembedding", column="posting_id", references="postings_posting"
        ),
        cascading_key(
            table="embeddings_candidateembedding", column="candidate_id", references="candidates_candidate"
        ),
        migrations.RunSQL(DELETE_VECTORS, "DROP FUNCTION embeddings_delete_vectors_of_model() CASCADE"),
        migrations.RunSQL(STORAGE, migrations.RunSQL.noop),
        migrations.RunSQL(VACUUM, NO_VACUUM),
    ]
