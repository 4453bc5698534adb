"""Every step of the ledger: what it does, and that doing it twice, late or at once does no harm."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.utils import timezone

from apps.embeddings import ledger, planning
from apps.embeddings.errors import LeaseLostError
from apps.embeddings.leases import expire_leases, fail_attempt, lease_chunk, release_lease, renew_lease
from apps.embeddings.ledger import Failure
from apps.embeddings.models import DeadLetter, EmbeddingChunk, EmbeddingRun, Invalidation, PostingEmbedding
from apps.embeddings.reading import read_texts
from apps.embeddings.registry import coverage
from apps.embeddings.sweeping import find_overdue
from apps.postings.models import Posting
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


@pytest.fixture(autouse=True)
def small_chunks(settings: Any) -> None:
    settings.EMBEDDING_CHUNK_SIZE = 10
    settings.EMBEDDING_WAVE_SIZE = 2
    settings.EMBEDDING_WAVES_IN_FLIGHT = 2


def in_threads(count: int, work: Callable[[], Any]) -> list[Any]:
    """What `work` returns in so many threads that start together."""
    results: list[Any] = []
    barrier = threading.Barrier(count)

    def run() -> None:
        barrier.wait()
        try:
            results.append(work())
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_a_plan_holds_every_pending_row_once_the_longest_first() -> None:
    postings = make_postings(35)
    run = planned_run(make_model())
    chunks = list(run.chunks.order_by("number"))
    assert (run.rows, run.waves, run.state) == (35, 2, "running")
    assert [chunk.rows for chunk in chunks] == [10, 10, 10, 5]
    assert [chunk.wave for chunk in chunks] == [0, 0, 1, 1]
    assert sorted(row_id for chunk in chunks for row_id in chunk.row_ids) == sorted(
        each.pk for each in postings
    )
    assert chunks[0].row_ids == [each.pk for each in reversed(postings[-10:])]


def test_long_texts_make_smaller_chunks() -> None:
    model = make_model(windows=8)
    make_postings(20, description="x" * 12_000)
    sizes = [chunk.rows for chunk in planned_run(model).chunks.order_by("number")]
    # 10 rows of 2 windows may stand in a chunk, so 2 or 3 rows of 8 windows.
    assert sum(sizes) == 20
    assert set(sizes) <= {1, 2, 3}


@pytest.mark.parametrize(
    ("rows", "octets", "chunks"),
    [
        (48, 12_000, [3] * 16),
        (20, 1_000, [20]),  # less than a batch: more chunks would only be more messages
    ],
)
def test_a_small_run_is_cut_so_that_all_slots_of_the_workers_end_together(
    settings: Any, rows: int, octets: int, chunks: list[int]
) -> None:
    settings.EMBEDDING_CHUNK_SIZE = 250
    make_postings(rows, description="x" * octets)
    run = planned_run(make_model(windows=8))
    assert [chunk.rows for chunk in run.chunks.order_by("number")] == chunks


def test_planning_twice_writes_chunks_once() -> None:
    make_postings(5)
    run = planned_run(make_model())
    planning.plan_run(run.pk)
    assert run.chunks.count() == 1


@at_once
def test_two_callers_open_one_run() -> None:
    make_postings(1)
    model = make_model()
    results = in_threads(4, lambda: planning.request_run("posting", model, reason="x"))
    assert EmbeddingRun.objects.count() == 1
    assert [created for _, created in results].count(True) == 1


def test_a_chunk_is_leased_once() -> None:
    make_postings(1)
    chunk = planned_run(make_model()).chunks.get()
    lease = lease_of(chunk)
    assert lease.attempts == 1
    assert lease_chunk(chunk.pk, task_id=None, worker="other") is None
    chunk.refresh_from_db()
    assert (chunk.state, chunk.worker) == ("leased", "test")


@at_once
def test_of_many_workers_one_gets_the_lease() -> None:
    make_postings(1)
    chunk = planned_run(make_model()).chunks.get()
    leases = in_threads(6, lambda: lease_chunk(chunk.pk, task_id=None, worker="x"))
    assert [lease is not None for lease in leases].count(True) == 1


def test_a_retry_of_the_same_task_leases_again_as_the_same_attempt() -> None:
    make_postings(1)
    chunk = planned_run(make_model()).chunks.get()
    task_id = "6e5f7e9a-38a5-4b8f-9d55-0a3a2f9f2f10"
    for _ in range(3):
        lease = lease_chunk(chunk.pk, task_id=task_id, worker="x")
        assert lease is not None and lease.attempts == 1


def test_an_expired_lease_goes_to_another_worker_and_the_late_result_is_refused() -> None:
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
    ledger.store_vectors(fast, embedded(fast))
    with pytest.raises(LeaseLostError):
        ledger.store_vectors(slow, late)
    ledger.write_chunk(chunk.pk)
    assert all(each.vector[0] < 100 for each in PostingEmbedding.objects.all())
    assert len(current_ids(model)) == 3


def test_a_chunk_that_costs_too_many_workers_is_given_up_and_its_rows_stay_pending(settings: Any) -> None:
    settings.EMBEDDING_ATTEMPTS = 2
    make_postings(2)
    model = make_model()
    run = planned_run(model)
    chunk = run.chunks.get()
    for _ in range(2):
        lease_of(chunk)
        EmbeddingChunk.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
        expire_leases()
    chunk.refresh_from_db()
    assert (chunk.state, chunk.error) == ("failed", "no worker finished it in 2 attempts")
    assert ledger.finish_run(run.pk)
    assert planning.has_pending("posting", model)


def test_what_passes_costs_no_attempt_and_what_does_not_costs_one() -> None:
    make_postings(1)
    chunk = planned_run(make_model()).chunks.get()
    release_lease(lease_of(chunk), error="database away")
    chunk.refresh_from_db()
    assert (chunk.state, chunk.attempts, chunk.error) == ("planned", 0, "database away")
    fail_attempt(lease_of(chunk), error="bug")
    chunk.refresh_from_db()
    assert (chunk.state, chunk.attempts, chunk.error) == ("planned", 1, "bug")


def test_writing_makes_rows_current_and_drops_the_packed_vectors() -> None:
    postings = make_postings(3)
    model = make_model()
    run = planned_run(model)
    chunk = run.chunks.get()
    lease = lease_of(chunk)
    ledger.store_vectors(lease, embedded(lease))
    assert current_ids(model) == set()
    assert ledger.write_chunk(chunk.pk)
    assert current_ids(model) == {each.pk for each in postings}
    chunk.refresh_from_db()
    assert (chunk.state, chunk.rows_written, chunk.vectors, chunk.embedded_ids) == ("written", 3, None, None)
    assert Invalidation.objects.get().run == run
    found = PostingEmbedding.objects.get(posting=postings[1])
    assert found.vector[1:] == [1.0, 2.0, 3.0]
    assert not ledger.write_chunk(chunk.pk)  # the body that runs twice


def test_equal_texts_share_a_vector_and_a_new_twin_takes_the_old_one() -> None:
    model = make_model()
    make_postings(4, title="Same", description="same")
    lease = lease_of(planned_run(model).chunks.get())
    texts, known = read_texts(lease)
    assert (len(texts), len(texts[0].row_ids), known) == (1, 4, {})
    ledger.store_vectors(lease, embedded(lease))
    ledger.write_chunk(lease.chunk_id)
    assert EmbeddingChunk.objects.get().rows_reused == 3
    ledger.finish_run(lease.run_id)

    [twin] = Posting.objects.bulk_create([Posting(external_id="twin", title="Same", description="same")])
    lease = lease_of(planned_run(model).chunks.get())
    texts, known = read_texts(lease)
    assert (texts, list(known.values())) == ([], [[twin.pk]])


def test_a_row_edited_between_reading_and_writing_keeps_no_vector_of_its_old_text() -> None:
    edited, deleted, untouched = make_postings(3)
    model = make_model()
    lease = lease_of(planned_run(model).chunks.get())
    ledger.store_vectors(lease, embedded(lease))
    Posting.objects.filter(pk=edited.pk).update(title="Edited")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM postings_posting WHERE id = %s", [deleted.pk])
    assert ledger.write_chunk(lease.chunk_id)
    assert set(PostingEmbedding.objects.values_list("posting_id", flat=True)) == {untouched.pk}
    chunk = EmbeddingChunk.objects.get()
    assert (chunk.rows_written, chunk.rows_skipped) == (1, 2)
    assert planning.has_pending("posting", model)


def test_a_late_chunk_never_replaces_a_newer_vector() -> None:
    [posting] = make_postings(1)
    model = make_model()
    late = lease_of(planned_run(model).chunks.get())
    ledger.store_vectors(late, embedded(late, fill=7))
    Posting.objects.update(title="New text")
    EmbeddingRun.objects.update(state="finished")
    newer = lease_of(planned_run(model).chunks.get())
    ledger.store_vectors(newer, embedded(newer))
    ledger.write_chunk(newer.chunk_id)
    before = PostingEmbedding.objects.get(posting=posting).vector
    ledger.write_chunk(late.chunk_id)
    assert PostingEmbedding.objects.get(posting=posting).vector == before
    assert current_ids(model) == {posting.pk}


def test_a_failed_text_becomes_a_dead_letter_for_each_of_its_rows_and_is_not_planned_again() -> None:
    first, second = make_postings(2, title="Bad", description="bad")
    make_postings(1)
    model = make_model()
    lease = lease_of(planned_run(model).chunks.get())
    texts, _ = read_texts(lease)
    bad = next(text for text in texts if len(text.row_ids) == 2)
    good = [each for each in embedded(lease) if each.content_hash != bad.content_hash]
    ledger.store_vectors(lease, good, [Failure(bad, "encode", "ValueError: no", "trace")])
    ledger.write_chunk(lease.chunk_id)
    letters = DeadLetter.objects.all()
    assert {letter.row_id for letter in letters} == {first.pk, second.pk}
    assert {(each.step, each.error, each.attempts, each.state) for each in letters} == {
        ("encode", "ValueError: no", 1, "open")
    }
    counts = coverage(model, "posting")
    assert (counts.rows, counts.current, counts.dead, counts.pending) == (3, 1, 2, 0)
    assert not planning.has_pending("posting", model)
    # Editing the row clears the letter without anybody's help.
    Posting.objects.filter(pk=first.pk).update(title="Better")
    assert planning.has_pending("posting", model)


def test_waves_are_claimed_in_order_and_only_so_many_are_in_flight() -> None:
    make_postings(75)  # 8 chunks, 4 waves
    run = planned_run(make_model())
    assert planning.claim_waves(run.pk) == [0, 1]
    assert planning.claim_waves(run.pk) == []
    for chunk_id in ledger.chunks_of_wave(run.pk, 0):
        EmbeddingChunk.objects.filter(pk=chunk_id).update(state="written")
    assert planning.claim_waves(run.pk) == [2]


@at_once
def test_each_wave_is_claimed_by_one_caller() -> None:
    make_postings(75)
    run = planned_run(make_model())
    claims = in_threads(5, lambda: planning.claim_waves(run.pk))
    assert sorted(wave for claim in claims for wave in claim) == [0, 1]


@at_once
def test_of_many_finishers_one_finishes() -> None:
    make_postings(1)
    run = planned_run(make_model())
    assert not ledger.finish_run(run.pk)
    EmbeddingChunk.objects.update(state="written")
    assert in_threads(6, lambda: ledger.finish_run(run.pk)).count(True) == 1
    assert not ledger.finish_run(run.pk)


@at_once
def test_two_bodies_at_once_write_a_chunk_once() -> None:
    make_postings(10)
    model = make_model()
    lease = lease_of(planned_run(model).chunks.get())
    ledger.store_vectors(lease, embedded(lease))
    assert in_threads(4, lambda: ledger.write_chunk(lease.chunk_id)).count(True) == 1
    assert len(current_ids(model)) == 10
    assert EmbeddingChunk.objects.get().rows_written == 10


def test_vectors_that_halfvec_cannot_hold_are_refused_whole() -> None:
    make_postings(2)
    lease = lease_of(planned_run(make_model()).chunks.get())
    vectors = embedded(lease)
    vectors[1].vector[0] = np.nan
    with pytest.raises(Exception, match="NaN"):
        ledger.store_vectors(lease, vectors)


def test_the_sweeper_finds_what_is_overdue(settings: Any) -> None:
    settings.SWEEP_PATIENCE = 10
    make_postings(35)
    model = make_model()
    run, _ = planning.request_run("posting", model, reason="test")
    long_ago = timezone.now() - timedelta(minutes=1)
    assert not find_overdue(queued=0)
    EmbeddingRun.objects.update(created_at=long_ago)
    assert find_overdue(queued=0).plan == [run.pk]

    planning.plan_run(run.pk)
    planning.claim_waves(run.pk, now=long_ago)
    chunks = list(run.chunks.order_by("number"))
    # Four chunks wait, and four messages do: nothing is lost.
    assert find_overdue(queued=4).embed == []
    assert find_overdue(queued=3).embed == [chunk.pk for chunk in chunks]

    lease = lease_of(chunks[0])
    ledger.store_vectors(lease, embedded(lease))
    EmbeddingChunk.objects.filter(pk=chunks[0].pk).update(embedded_at=long_ago)
    overdue = find_overdue(queued=3)
    assert (overdue.embed, overdue.write, overdue.advance) == ([], [(run.pk, 0)], [run.pk])

    dead = lease_of(chunks[1])
    EmbeddingChunk.objects.filter(pk=dead.chunk_id).update(leased_until=long_ago)
    assert chunks[1].pk in find_overdue(queued=0).embed  # its worker is gone

    ledger.write_chunk(chunks[0].pk)
    EmbeddingRun.objects.update(state="finished")
    assert find_overdue(queued=0).invalidate == [run.pk]


def test_a_paused_run_hands_out_nothing_and_goes_on_where_it_was() -> None:
    make_postings(35)
    run = planned_run(make_model())
    planning.claim_waves(run.pk)
    chunks = list(run.chunks.order_by("number"))
    lease = lease_of(chunks[0])
    ledger.store_vectors(lease, embedded(lease))
    ledger.write_chunk(chunks[0].pk)
    assert planning.pause_run(run.pk, reason="no model")
    assert lease_chunk(chunks[1].pk, task_id=None, worker="x") is None
    assert planning.claim_waves(run.pk) == []
    assert planning.resume_run(run.pk)
    assert planning.claim_waves(run.pk) == [0, 1]
    assert ledger.chunks_of_wave(run.pk, 0) == [chunks[1].pk]
