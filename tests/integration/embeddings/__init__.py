"""Tests of the embeddings app with a database."""
