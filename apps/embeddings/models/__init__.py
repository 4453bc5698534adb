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
