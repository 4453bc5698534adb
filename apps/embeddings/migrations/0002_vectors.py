from django.db import migrations

from apps.records.foreign_keys import cascading_key

# Packed half floats do not compress; trying costs more than the copy.
_STORAGE = "ALTER TABLE embeddings_embeddingchunk {}".format(
    ", ".join(
        f"ALTER COLUMN {column} SET STORAGE EXTERNAL"
        for column in ("vectors", "embedded_hashes", "embedded_ids")
    )
)


class Migration(migrations.Migration):
    dependencies = [("embeddings", "0001_initial")]
    operations = [
        cascading_key(
            table="embeddings_postingembedding", column="posting_id", references="postings_posting"
        ),
        cascading_key(
            table="embeddings_candidateembedding", column="candidate_id", references="candidates_candidate"
        ),
        migrations.RunSQL(_STORAGE, migrations.RunSQL.noop),
    ]
