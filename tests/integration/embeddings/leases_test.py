"""Leases: one worker at a time embeds a chunk."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.utils import timezone

from apps.embeddings import chunk_ledger
from apps.embeddings.errors import LeaseLostError
from apps.embeddings.leases import free_leases_of, lease_chunk, release_lease, renew_lease
from apps.embeddings.models import EmbeddingChunk, PostingEmbedding
from tests.integration.embeddings.concurrency import in_threads
from tests.integration.embeddings.factories import (
    current_ids,
    embedded,
    lease_of,
    make_model,
    make_postings,
    planned_run,
)

pytestmark = pytest.mark.django_db
at_once = pytest.mark.django_db(transaction=True)


def test_a_leased_chunk_cannot_be_leased_again() -> None:
    make_postings(1)
    chunk = planned_run(make_model()).chunks.get()
    lease = lease_of(chunk)
    assert lease.attempts == 1
    assert lease_chunk(chunk.pk, task_id=None, worker="other") is None
    chunk.refresh_from_db()
    assert (chunk.state, chunk.worker) == ("leased", "test")


@at_once
def test_lease_chunk_succeeds_for_one_of_several_concurrent_workers(settings: Any) -> None:
    settings.EMBEDDING_CHUNK_SIZE = 1
    make_postings(20)
    # Repeated, since the race lasts less than a millisecond.
    for chunk in planned_run(make_model()).chunks.all():
        leases = in_threads(6, partial(lease_chunk, chunk.pk, task_id=None, worker="x"))
        assert [lease is not None for lease in leases].count(True) == 1


def test_a_retry_of_the_same_task_leases_the_chunk_again_as_the_same_attempt() -> None:
    make_postings(1)
    chunk = planned_run(make_model()).chunks.get()
    task_id = "6e5f7e9a-38a5-4b8f-9d55-0a3a2f9f2f10"
    for _ in range(3):
        lease = lease_chunk(chunk.pk, task_id=task_id, worker="x")
        assert lease is not None and lease.attempts == 1


def test_a_late_result_is_refused_after_the_lease_went_to_another_worker() -> None:
    make_postings(3)
    model = make_model()
    chunk = planned_run(model).chunks.get()
    slow = lease_of(chunk)
    late = embedded(slow, fill=9)
    EmbeddingChunk.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    fast = lease_of(chunk)
    assert fast.attempts == 2
    with pytest.raises(LeaseLostError):
        renew_lease(slow)
    chunk_ledger.store_vectors(fast, embedded(fast))
    with pytest.raises(LeaseLostError):
        chunk_ledger.store_vectors(slow, late)
    chunk_ledger.write_chunk(chunk.pk)
    assert all(each.vector[0] < 100 for each in PostingEmbedding.objects.all())
    assert len(current_ids(model)) == 3


def test_a_chunk_is_isolated_after_it_has_cost_too_many_workers(settings: Any) -> None:
    settings.EMBEDDING_SUSPECT_AFTER = 1
    make_postings(1)
    chunk = planned_run(make_model()).chunks.get()
    task_id = "6e5f7e9a-38a5-4b8f-9d55-0a3a2f9f2f10"
    # A retry of the same task is the same attempt, so it changes nothing.
    leases = [lease_chunk(chunk.pk, task_id=task_id, worker="x") for _ in range(3)]
    assert [lease.isolated for lease in leases if lease] == [False] * 3
    free_leases_of("x")
    isolated = lease_of(chunk)
    assert isolated.isolated
    release_lease(isolated, error="database away")
    assert lease_of(chunk).isolated


def test_release_lease_counts_an_attempt_only_when_the_chunk_may_be_the_reason() -> None:
    make_postings(1)
    chunk = planned_run(make_model()).chunks.get()
    release_lease(lease_of(chunk), error="database away")
    chunk.refresh_from_db()
    assert (chunk.state, chunk.attempts, chunk.error) == ("planned", 0, "database away")
    release_lease(lease_of(chunk), error="bug", count=True)
    chunk.refresh_from_db()
    assert (chunk.state, chunk.attempts, chunk.error) == ("planned", 1, "bug")


def test_a_restarted_worker_frees_the_chunks_that_it_had_leased() -> None:
    make_postings(1)
    chunk = planned_run(make_model()).chunks.get()
    lease_of(chunk)
    assert free_leases_of("another") == 0
    assert free_leases_of("test") == 1
    assert lease_of(chunk).attempts == 2
