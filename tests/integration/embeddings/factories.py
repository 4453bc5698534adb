"""Models, postings, runs and leases for tests."""

from typing import Any

import numpy as np

from apps.embeddings.chunk_ledger import EmbeddedText
from apps.embeddings.leases import Lease, lease_chunk
from apps.embeddings.models import EmbeddingChunk, EmbeddingModel, EmbeddingRun, PostingEmbedding
from apps.embeddings.planning import write_plan
from apps.embeddings.reading import read_texts
from apps.embeddings.runs import request_run
from apps.postings.models import Posting

DIMENSIONS = 4


def make_model(**changes: Any) -> EmbeddingModel:
    """Create a model of 4 dimensions."""
    return EmbeddingModel.objects.create(**{"name": "test", "dimensions": DIMENSIONS} | changes)


def make_postings(count: int, **changes: Any) -> list[Posting]:
    """Create postings with texts of different lengths."""
    return Posting.objects.bulk_create(
        Posting(
            **{
                "external_id": f"p{Posting.objects.count() + number}",
                "title": f"Posting {number}",
                "description": "word " * number,
            }
            | changes
        )
        for number in range(count)
    )


def planned_run(model: EmbeddingModel, kind: str = "posting") -> EmbeddingRun:
    """Create and plan a run over pending rows."""
    run, _ = request_run(kind, model, reason="test")
    return write_plan(run.pk)


def lease_of(chunk: EmbeddingChunk) -> Lease:
    """Lease a chunk for the worker "test"."""
    lease = lease_chunk(chunk.pk, task_id=None, worker="test")
    assert lease is not None
    return lease


def embedded(lease: Lease, fill: float = 1.0) -> list[EmbeddedText]:
    """A vector for each text of the chunk. Its first number is the length of the text times `fill`."""
    texts, _ = read_texts(lease)
    return [
        EmbeddedText(text.content_hash, text.row_ids, np.array([len(text.text) * fill, 1, 2, 3], np.float32))
        for text in texts
    ]


def current_ids(model: EmbeddingModel) -> set[int]:
    """Ids of postings with a current vector of `model`."""
    return {
        each.posting_id
        for each in PostingEmbedding.objects.filter(model=model).select_related("posting")
        if bytes(each.content_hash) == bytes(each.posting.content_hash)
    }
