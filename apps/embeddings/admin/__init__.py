"""The console of whoever runs the embedding: models, runs, chunks, dead letters; and each record with its vector."""

from apps.embeddings.admin import chunks, dead_letters, models, records, runs

__all__ = ["chunks", "dead_letters", "models", "records", "runs"]
