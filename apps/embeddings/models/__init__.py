"""Models of the app: model versions, vectors, and the ledger of embedding."""

from apps.embeddings.models.ledger import DeadLetter, EmbeddingChunk, EmbeddingRun, Invalidation
from apps.embeddings.models.vectors import (
    CandidateEmbedding,
    EmbeddingModel,
    Kind,
    PostingEmbedding,
)

__all__ = [
    "CandidateEmbedding",
    "DeadLetter",
    "EmbeddingChunk",
    "EmbeddingModel",
    "EmbeddingRun",
    "Invalidation",
    "Kind",
    "PostingEmbedding",
]
