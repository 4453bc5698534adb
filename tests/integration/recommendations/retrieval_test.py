"""The strategy for each filter, and the recall of vector search."""

from typing import Any

import numpy as np
import pytest
from django.db import connection

from apps.embeddings.index import index_name
from apps.embeddings.models import EmbeddingModel, PostingEmbedding
from apps.postings.models import Posting
from apps.recommendations import retrieval
from apps.recommendations.retrieval import as_text, nearest

ROWS, DIMENSIONS = 3_000, 16


@pytest.fixture
def model(db: None, monkeypatch: pytest.MonkeyPatch) -> EmbeddingModel:
    """An active model and two distant clusters of equal size: every tenth posting in Oslo, the second one in
    Norway."""
    random = np.random.default_rng(0)
    vectors = random.standard_normal((ROWS, DIMENSIONS)) * 0.2
    vectors[: ROWS // 2, 0] += 1
    vectors[ROWS // 2 :, 0] -= 1
    postings = Posting.objects.bulk_create(
        Posting(
            external_id=str(number),
            title="x",
            city="" if number % 10 else "Oslo",
            country="NO" if number >= ROWS // 2 else "",
        )
        for number in range(ROWS)
    )
    model = EmbeddingModel.objects.create(name="test", dimensions=DIMENSIONS, state="active")
    PostingEmbedding.objects.bulk_create(
        PostingEmbedding(posting=posting, model=model, content_hash=b"", vector=list(vector))
        for posting, vector in zip(postings, vectors, strict=True)
    )
    with connection.cursor() as cursor:  # the application's index, built in the test's transaction
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(
            f"CREATE INDEX {index_name(model, 'posting')} ON embeddings_postingembedding "
            f"USING hnsw ((vector::halfvec({DIMENSIONS})) halfvec_cosine_ops) WHERE model_id = {model.pk}"
        )
        cursor.execute("ANALYZE postings_posting, embeddings_postingembedding")
    monkeypatch.setattr(retrieval, "MAX_EXACT", 100)
    return model


def search(model: EmbeddingModel, k: int = 100, **filters: Any) -> tuple[retrieval.Neighbours, float]:
    """Search near the first cluster; return the neighbours and their recall."""
    query = np.zeros(DIMENSIONS)
    query[0] = query[1] = 1
    matching = Posting.objects.filter(**filters)
    found = nearest("posting", as_text(list(query)), model=model, matching=matching, k=k)
    stored = PostingEmbedding.objects.filter(posting__in=matching).values_list("posting_id", "vector")
    cosines = {key: np.dot(v := np.asarray(vector), query) / np.linalg.norm(v) for key, vector in stored}
    expected = set(sorted(cosines, key=lambda key: -cosines[key])[:k])
    values = [row.cosine for row in found.rows]
    assert values == sorted(values, reverse=True)
    return found, len(expected & {row.row_id for row in found.rows}) / len(expected)


def test_nearest_is_exact_when_few_rows_match(model: EmbeddingModel) -> None:
    found, recall = search(model, city="Oslo")
    assert (found.strategy, found.matching, found.ef_search) == ("exact", 300, 0)
    assert (len(found.rows), recall) == (100, 1.0)


def test_nearest_uses_the_index_when_many_rows_match(model: EmbeddingModel) -> None:
    found, recall = search(model)
    counted = 1096  # 1 + √(4 × 100 × 3,000)
    assert (found.strategy, found.matching, len(found.rows)) == ("hnsw", counted, 100)
    assert recall >= 0.95


def test_nearest_falls_back_to_exact_when_the_index_finds_too_few(
    model: EmbeddingModel, settings: Any
) -> None:
    settings.HNSW_MAX_SCAN_TUPLES = 200
    found, recall = search(model, country="NO")
    assert (found.strategy, len(found.rows), recall) == ("hnsw+exact", 100, 1.0)


def test_nearest_is_exact_when_there_is_no_index(model: EmbeddingModel) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX {index_name(model, 'posting')}")
    found, recall = search(model)
    assert (found.strategy, len(found.rows), recall) == ("exact", 100, 1.0)
