"""Runs: requested, paused, resumed and cancelled, each step once with concurrent callers."""

import pytest
from django.utils import timezone

from apps.embeddings import chunk_ledger, planning, runs
from apps.embeddings.errors import LeaseLostError
from apps.embeddings.leases import lease_chunk
from apps.embeddings.models import EmbeddingChunk, EmbeddingRun
from apps.embeddings.sweeping import recover
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


@at_once
def test_request_run_creates_one_run_for_several_concurrent_callers() -> None:
    make_postings(1)
    model = make_model()
    results = in_threads(4, lambda: runs.request_run("posting", model, reason="x"))
    assert EmbeddingRun.objects.count() == 1
    assert [created for _, created in results].count(True) == 1


def test_a_paused_run_leases_no_chunk_and_continues_where_it_stopped() -> None:
    make_postings(35)
    run = planned_run(make_model())
    planning.claim_waves(run.pk)
    chunks = list(run.chunks.order_by("number"))
    lease = lease_of(chunks[0])
    chunk_ledger.store_vectors(lease, embedded(lease))
    chunk_ledger.write_chunk(chunks[0].pk)
    assert runs.pause_run(run.pk, reason="no model")
    assert lease_chunk(chunks[1].pk, task_id=None, worker="x") is None
    assert planning.claim_waves(run.pk) == []
    assert runs.resume_run(run.pk)
    assert planning.claim_waves(run.pk) == [0, 1]
    assert chunk_ledger.chunks_of_wave(run.pk, 0) == [chunks[1].pk]


def test_a_run_paused_by_errors_is_resumed_after_growing_backoffs() -> None:
    make_postings(5)
    run = planned_run(make_model())
    longest = []
    for _ in range(4):
        before = timezone.now()
        assert runs.pause_with_backoff(run.pk, reason="no memory")
        run.refresh_from_db()
        assert run.resume_at is not None
        longest.append((run.resume_at - before).total_seconds())
        recover()
        run.refresh_from_db()
        assert (run.state, run.paused_because) == ("paused", "no memory")
        EmbeddingRun.objects.update(resume_at=timezone.now())
        recover()
        run.refresh_from_db()
        assert (run.state, run.paused_because) == ("running", "")
    for seconds, bound in zip(longest, (30, 60, 120, 240), strict=True):
        assert bound / 2 <= seconds <= bound + 1
    lease = lease_of(run.chunks.get())
    chunk_ledger.store_vectors(lease, embedded(lease))
    chunk_ledger.write_chunk(lease.chunk_id)
    run.refresh_from_db()
    assert run.pauses == 0


def test_a_run_paused_by_hand_is_not_resumed_by_the_sweeper() -> None:
    make_postings(5)
    run = planned_run(make_model())
    runs.pause_run(run.pk, reason="maintenance")
    recover()
    run.refresh_from_db()
    assert (run.state, run.resume_at) == ("paused", None)


def test_a_cancelled_run_keeps_written_vectors_and_deletes_packed_ones() -> None:
    make_postings(35)
    model = make_model()
    run = planned_run(model)
    written, packed, leased, _ = [lease_of(chunk) for chunk in run.chunks.order_by("number")]
    for lease in (written, packed):
        chunk_ledger.store_vectors(lease, embedded(lease))
    chunk_ledger.write_chunk(written.chunk_id)
    late = embedded(leased)
    assert runs.cancel_run(run.pk)
    assert not runs.cancel_run(run.pk)
    with pytest.raises(LeaseLostError):
        chunk_ledger.store_vectors(leased, late)
    assert not chunk_ledger.write_chunk(packed.chunk_id)
    assert not EmbeddingChunk.objects.exclude(vectors=None, embedded_ids=None).exists()
    assert len(current_ids(model)) == 10
    run.refresh_from_db()
    assert (run.state, run.finishes, run.progress().failed) == ("cancelled", 0, 25)
    assert planning.has_pending("posting", model)
    again = planned_run(model)
    assert (again.pk != run.pk, again.rows) == (True, 25)
