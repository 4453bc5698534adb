"""Unit tests of the embeddings app."""
