class EmbeddingError(Exception):
    """What this app refuses, in words for the person who asked."""


class LeaseLostError(EmbeddingError):
    """Another worker took the chunk over, or the run was cancelled; this worker's result is not needed."""


class ModelStateError(EmbeddingError):
    """A model cannot go to the state asked for; the message says what is missing."""
