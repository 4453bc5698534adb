"""The checks after the torture test, in SQL that shares nothing with the application."""

from collections.abc import Collection, Mapping
from typing import Any

import psycopg

from apps.embeddings.adapters import DEFAULT, find_adapter

CURRENT = """
    SELECT p.id FROM postings_posting p JOIN embeddings_postingembedding e ON e.posting_id = p.id
    JOIN embeddings_embeddingmodel m ON m.id = e.model_id AND m.state = 'active'
    WHERE e.content_hash = p.content_hash
"""
CHECKS: Mapping[str, str] = {
    "rows_without_vector_or_letter": f"""
        SELECT count(*) FROM postings_posting p WHERE p.id NOT IN ({CURRENT}) AND p.id NOT IN (
            SELECT row_id FROM embeddings_deadletter WHERE kind = 'posting' AND state = 'open')""",
    "rows_with_two_vectors_of_a_model": """
        SELECT count(*) FROM (SELECT posting_id FROM embeddings_postingembedding GROUP BY posting_id, model_id
                              HAVING count(*) > 1) AS twice""",
    "vectors_of_no_row": """
        SELECT count(*) FROM embeddings_postingembedding e LEFT JOIN postings_posting p ON p.id = e.posting_id
        WHERE p.id IS NULL""",
    "chunks_not_terminal": """
        SELECT count(*) FROM embeddings_embeddingchunk WHERE state NOT IN ('written', 'failed')""",
    "packed_vectors_left": "SELECT count(*) FROM embeddings_embeddingchunk WHERE vectors IS NOT NULL",
    "runs_open": "SELECT count(*) FROM embeddings_embeddingrun WHERE state NOT IN ('finished', 'cancelled')",
    "runs_not_finished_exactly_once": "SELECT count(*) FROM embeddings_embeddingrun WHERE finishes <> 1",
    "invalidations_not_acknowledged": """
        SELECT count(*) FROM embeddings_invalidation WHERE acknowledged_at IS NULL""",
}


def counts(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """The count of each check; all must be 0."""
    return {name: _count(connection, sql) for name, sql in CHECKS.items()}


def rows(connection: psycopg.Connection[Any]) -> set[int]:
    """Ids of the postings."""
    return {row[0] for row in connection.execute("SELECT id FROM postings_posting")}


def open_letters(connection: psycopg.Connection[Any]) -> set[int]:
    """Ids of the postings with an open dead letter."""
    return {
        row[0] for row in connection.execute("SELECT row_id FROM embeddings_deadletter WHERE state = 'open'")
    }


def unsettled(connection: psycopg.Connection[Any]) -> int:
    """Number of rows, chunks, runs and invalidations that are not done."""
    names = (
        "rows_without_vector_or_letter",
        "chunks_not_terminal",
        "runs_open",
        "invalidations_not_acknowledged",
    )
    return sum(_count(connection, CHECKS[name]) for name in names)


def wrong_vectors(connection: psycopg.Connection[Any], keys: Collection[int]) -> int:
    """Number of the rows `keys` whose current vector is not that of their text.

    The texts are embedded again here, by sentence-transformers itself.
    """
    from sentence_transformers import SentenceTransformer

    from workers.encoding.adapter import merge
    from workers.encoding.encoder import location_of

    found = connection.execute(
        f"SELECT p.title, p.skills_text, p.description, e.vector::real[] FROM postings_posting p "
        f"JOIN embeddings_postingembedding e ON e.posting_id = p.id "
        f"WHERE p.id = ANY (%s) AND p.id IN ({CURRENT})",
        [list(keys)],
    ).fetchall()
    texts = [
        f"{title}\nSkills: {skills}\n\n{body.strip()}" if skills else f"{title}\n\n{body.strip()}"
        for title, skills, body, _ in found
    ]
    model = SentenceTransformer(location_of("all-MiniLM-L6-v2"), device="cpu")
    if adapter := find_adapter(DEFAULT, "all-MiniLM-L6-v2"):
        merge(model, adapter)
    vectors = model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    return sum(float(vector @ row[3]) < 0.99 for vector, row in zip(vectors, found, strict=True))


def _count(connection: psycopg.Connection[Any], sql: str) -> int:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return int(row[0])
