"""Admin pages of models, runs, chunks and dead letters, and the state of the vector of each record."""

from apps.embeddings.admin import chunks, dead_letters, models, records, runs

__all__ = ["chunks", "dead_letters", "models", "records", "runs"]
