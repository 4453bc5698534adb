"""The sweeper: overdue work, and what it recovers by itself."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.embeddings import chunk_ledger, planning, runs
from apps.embeddings.leases import expire_leases, lease_chunk
from apps.embeddings.models import DeadLetter, EmbeddingChunk, EmbeddingRun
from apps.embeddings.sweeping import find_overdue, recover
from apps.postings.models import Posting
from tests.integration.embeddings.concurrency import in_threads
from tests.integration.embeddings.factories import embedded, lease_of, make_model, make_postings, planned_run

pytestmark = pytest.mark.django_db
at_once = pytest.mark.django_db(transaction=True)


def test_find_overdue_finds_work_whose_message_or_worker_was_lost(settings: Any) -> None:
    settings.SWEEP_PATIENCE = 10
    make_postings(35)
    model = make_model()
    run, _ = runs.request_run("posting", model, reason="test")
    long_ago = timezone.now() - timedelta(minutes=1)
    assert not find_overdue(queued=0)
    EmbeddingRun.objects.update(created_at=long_ago)
    assert find_overdue(queued=0).plan == [run.pk]

    planning.write_plan(run.pk)
    planning.claim_waves(run.pk, now=long_ago)
    chunks = list(run.chunks.order_by("number"))
    # Four chunks wait and four messages are queued: none is lost.
    assert find_overdue(queued=4).embed == []
    assert find_overdue(queued=3).embed == [chunk.pk for chunk in chunks]

    lease = lease_of(chunks[0])
    chunk_ledger.store_vectors(lease, embedded(lease))
    EmbeddingChunk.objects.filter(pk=chunks[0].pk).update(embedded_at=long_ago)
    overdue = find_overdue(queued=3)
    assert (overdue.embed, overdue.write, overdue.advance) == ([], [(run.pk, 0)], [run.pk])

    dead = lease_of(chunks[1])
    EmbeddingChunk.objects.filter(pk=dead.chunk_id).update(leased_until=long_ago)
    recover()
    assert chunks[1].pk in find_overdue(queued=0).embed  # its worker was lost

    chunk_ledger.write_chunk(chunks[0].pk)
    EmbeddingRun.objects.update(state="finished", finished_at=long_ago)
    overdue = find_overdue(queued=0)
    assert (overdue.index, overdue.invalidate) == ([run.pk], [run.pk])
    chunk_ledger.mark_indexed(run.pk)
    assert find_overdue(queued=0).index == []


def test_embedded_chunks_of_a_paused_run_are_written() -> None:
    make_postings(5)
    run = planned_run(make_model())
    lease = lease_of(run.chunks.get())
    runs.pause_run(run.pk, reason="maintenance")
    chunk_ledger.store_vectors(lease, embedded(lease))
    EmbeddingChunk.objects.update(embedded_at=timezone.now() - timedelta(minutes=5))
    assert find_overdue(queued=0).write == [(run.pk, 0)]


def test_rows_of_a_chunk_without_attempts_left_become_dead_letters(
    settings: Any,
) -> None:
    settings.EMBEDDING_ATTEMPTS = 3
    settings.EMBEDDING_SUSPECT_AFTER = 1
    first, second, deleted = make_postings(3)
    model = make_model()
    run = planned_run(model)
    chunk = run.chunks.get()
    Posting.objects.filter(pk=deleted.pk).delete()
    suspect = []
    for _ in range(3):
        suspect.append(lease_of(chunk).isolated)
        EmbeddingChunk.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
        expire_leases()
    assert suspect == [False, True, True]
    assert lease_chunk(chunk.pk, task_id=None, worker="x") is None
    recover()
    chunk.refresh_from_db()
    assert (chunk.state, chunk.rows_dead, chunk.rows_skipped) == ("failed", 2, 1)
    assert chunk_ledger.finish_run(run.pk)
    letters = DeadLetter.objects.order_by("row_id")
    assert [(each.row_id, each.step, each.attempts) for each in letters] == [
        (first.pk, "chunk", 3),
        (second.pk, "chunk", 3),
    ]
    assert letters[0].error == "Failed after 3 attempts. The last error: The worker was lost."
    assert not planning.has_pending("posting", model)


@at_once
def test_concurrent_sweepers_record_dead_letters_once_and_resume_a_run_once(settings: Any) -> None:
    settings.EMBEDDING_CHUNK_SIZE = 1
    make_postings(3)
    run = planned_run(make_model())
    EmbeddingChunk.objects.update(attempts=settings.EMBEDDING_ATTEMPTS, error="bug")
    in_threads(4, recover)
    assert DeadLetter.objects.open().count() == 3
    assert {chunk.state for chunk in run.chunks.all()} == {"failed"}
    EmbeddingRun.objects.update(state="paused", resume_at=timezone.now())
    assert sorted(in_threads(4, lambda: runs.resume_due_runs(timezone.now()))) == [[], [], [], [run.pk]]
