from django.db import migrations

# Vacuum mends an HNSW graph node by node and rests once for each page, for four times this delay at most. With the
# default of 2 ms it takes half a core, for a minute and more, from queries; with 20 ms about an eighth, for longer.
_TABLES = ("embeddings_postingembedding", "embeddings_candidateembedding")
_GENTLE = "; ".join(f"ALTER TABLE {table} SET (autovacuum_vacuum_cost_delay = 20)" for table in _TABLES)
_DEFAULT = "; ".join(f"ALTER TABLE {table} RESET (autovacuum_vacuum_cost_delay)" for table in _TABLES)


class Migration(migrations.Migration):
    dependencies = [
        ("embeddings", "0006_quick_pending"),
    ]

    operations = [
        migrations.RunSQL(_GENTLE, _DEFAULT),
    ]
