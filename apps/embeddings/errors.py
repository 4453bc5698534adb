"""Errors of the app."""


class EmbeddingError(Exception):
    """An error whose message is for people."""


class LeaseLostError(EmbeddingError):
    """Another worker took the chunk, or the run was cancelled: the result is not needed."""


class ModelStateError(EmbeddingError):
    """A model cannot change to the requested state; the message says why."""
