"""Every step of the ledger: what it does, and that doing it twice, late or at once does no harm."""

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.utils import timezone

from apps.embeddings import dead_letters, ledger, planning, runs
from apps.embeddings.dead_letters import Failure
from apps.embeddings.errors import LeaseLostError
from apps.embeddings.leases import expire_leases, free_leases_of, lease_chunk, release_lease, renew_lease
from apps.embeddings.models import DeadLetter, EmbeddingChunk, EmbeddingRun, Invalidation, PostingEmbedding
from apps.embeddings.reading import read_texts
from apps.embeddings.registry import coverage
from apps.embeddings.sweeping import find_overdue, settle
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


def test_copies_of_a_text_stand_in_one_chunk_up_to_a_chunkful() -> None:
    make_postings(7, description="x" * 50)
    make_postings(8, title="Same", description="y" * 40)
    make_postings(25, title="Many", description="z" * 30)
    sizes = [chunk.rows for chunk in planned_run(make_model()).chunks.order_by("number")]
    # 7 different and all 8 equal ones; of the 25 equal ones two chunkfuls and the rest.
    assert sizes == [15, 10, 10, 5]


def test_planning_twice_writes_chunks_once() -> None:
    make_postings(5)
    run = planned_run(make_model())
    planning.plan_run(run.pk)
    assert run.chunks.count() == 1


@at_once
def test_two_callers_open_one_run() -> None:
    make_postings(1)
    model = make_model()
    results = in_threads(4, lambda: runs.request_run("posting", model, reason="x"))
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
def test_of_many_workers_one_gets_the_lease(settings: Any) -> None:
    settings.EMBEDDING_CHUNK_SIZE = 1
    make_postings(20)
    # Again and again: the race is won and lost within a millisecond.
    for chunk in planned_run(make_model()).chunks.all():
        leases = in_threads(6, partial(lease_chunk, chunk.pk, task_id=None, worker="x"))
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


def test_a_chunk_that_costs_too_many_workers_is_given_up_and_its_rows_become_dead_letters(
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
        suspect.append(lease_of(chunk).is_suspect)
        EmbeddingChunk.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
        expire_leases()
    assert suspect == [False, True, True]
    assert lease_chunk(chunk.pk, task_id=None, worker="x") is None
    settle()
    chunk.refresh_from_db()
    assert (chunk.state, chunk.rows_dead, chunk.rows_skipped) == ("failed", 2, 1)
    assert ledger.finish_run(run.pk)
    letters = DeadLetter.objects.order_by("row_id")
    assert [(each.row_id, each.step, each.attempts) for each in letters] == [
        (first.pk, "chunk", 3),
        (second.pk, "chunk", 3),
    ]
    assert letters[0].error == "given up after 3 attempts, the last: its worker did not come back"
    assert not planning.has_pending("posting", model)


def test_what_passes_costs_no_attempt_and_what_does_not_costs_one() -> None:
    make_postings(1)
    chunk = planned_run(make_model()).chunks.get()
    release_lease(lease_of(chunk), error="database away")
    chunk.refresh_from_db()
    assert (chunk.state, chunk.attempts, chunk.error) == ("planned", 0, "database away")
    release_lease(lease_of(chunk), error="bug", count=True)
    chunk.refresh_from_db()
    assert (chunk.state, chunk.attempts, chunk.error) == ("planned", 1, "bug")


def test_a_worker_that_starts_again_frees_what_its_former_life_held() -> None:
    make_postings(1)
    chunk = planned_run(make_model()).chunks.get()
    lease_of(chunk)
    assert free_leases_of("another") == 0
    assert free_leases_of("test") == 1
    assert lease_of(chunk).attempts == 2


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
    run, _ = runs.request_run("posting", model, reason="test")
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
    settle()
    assert chunks[1].pk in find_overdue(queued=0).embed  # its worker is gone

    ledger.write_chunk(chunks[0].pk)
    EmbeddingRun.objects.update(state="finished", finished_at=long_ago)
    overdue = find_overdue(queued=0)
    assert (overdue.prepare, overdue.invalidate) == ([run.pk], [run.pk])
    ledger.mark_prepared(run.pk)
    assert find_overdue(queued=0).prepare == []


def test_a_paused_run_hands_out_nothing_and_goes_on_where_it_was() -> None:
    make_postings(35)
    run = planned_run(make_model())
    planning.claim_waves(run.pk)
    chunks = list(run.chunks.order_by("number"))
    lease = lease_of(chunks[0])
    ledger.store_vectors(lease, embedded(lease))
    ledger.write_chunk(chunks[0].pk)
    assert runs.pause_run(run.pk, reason="no model")
    assert lease_chunk(chunks[1].pk, task_id=None, worker="x") is None
    assert planning.claim_waves(run.pk) == []
    assert runs.resume_run(run.pk)
    assert planning.claim_waves(run.pk) == [0, 1]
    assert ledger.chunks_of_wave(run.pk, 0) == [chunks[1].pk]


def test_a_run_that_paused_by_itself_resumes_by_itself_and_waits_longer_each_time() -> None:
    make_postings(5)
    run = planned_run(make_model())
    longest = []
    for _ in range(4):
        before = timezone.now()
        assert runs.pause_for_a_while(run.pk, reason="no memory")
        run.refresh_from_db()
        assert run.resume_at is not None
        longest.append((run.resume_at - before).total_seconds())
        settle()
        run.refresh_from_db()
        assert (run.state, run.paused_because) == ("paused", "no memory")
        EmbeddingRun.objects.update(resume_at=timezone.now())
        settle()
        run.refresh_from_db()
        assert (run.state, run.paused_because) == ("running", "")
    for seconds, bound in zip(longest, (30, 60, 120, 240), strict=True):
        assert bound / 2 <= seconds <= bound + 1
    lease = lease_of(run.chunks.get())
    ledger.store_vectors(lease, embedded(lease))
    ledger.write_chunk(lease.chunk_id)
    run.refresh_from_db()
    assert run.pauses == 0


def test_a_run_paused_by_somebody_waits_for_somebody() -> None:
    make_postings(5)
    run = planned_run(make_model())
    runs.pause_run(run.pk, reason="maintenance")
    settle()
    run.refresh_from_db()
    assert (run.state, run.resume_at) == ("paused", None)


def test_what_is_embedded_is_written_while_its_run_is_paused() -> None:
    make_postings(5)
    run = planned_run(make_model())
    lease = lease_of(run.chunks.get())
    runs.pause_run(run.pk, reason="maintenance")
    ledger.store_vectors(lease, embedded(lease))
    EmbeddingChunk.objects.update(embedded_at=timezone.now() - timedelta(minutes=5))
    assert find_overdue(queued=0).write == [(run.pk, 0)]


def test_a_cancelled_run_keeps_what_it_wrote_and_drops_what_it_packed() -> None:
    make_postings(35)
    model = make_model()
    run = planned_run(model)
    written, packed, leased, _ = [lease_of(chunk) for chunk in run.chunks.order_by("number")]
    for lease in (written, packed):
        ledger.store_vectors(lease, embedded(lease))
    ledger.write_chunk(written.chunk_id)
    late = embedded(leased)
    assert runs.cancel_run(run.pk)
    assert not runs.cancel_run(run.pk)
    with pytest.raises(LeaseLostError):
        ledger.store_vectors(leased, late)
    assert not ledger.write_chunk(packed.chunk_id)
    assert not EmbeddingChunk.objects.exclude(vectors=None, embedded_ids=None).exists()
    assert len(current_ids(model)) == 10
    run.refresh_from_db()
    assert (run.state, run.finishes, run.progress().failed) == ("cancelled", 0, 25)
    assert planning.has_pending("posting", model)
    again = planned_run(model)
    assert (again.pk != run.pk, again.rows) == (True, 25)


def test_clearing_looks_at_what_the_row_is_now() -> None:
    edited, deleted, as_it_was = make_postings(3)
    model = make_model()
    lease = lease_of(planned_run(model).chunks.get())
    texts, _ = read_texts(lease)
    ledger.store_vectors(lease, [], [Failure(text, "encode", "no", "") for text in texts])
    assert dead_letters.clear_outdated() == 0
    Posting.objects.filter(pk=edited.pk).update(title="Better")
    Posting.objects.filter(pk=deleted.pk).delete()
    assert dead_letters.clear_outdated() == 2
    assert [letter.row_id for letter in DeadLetter.objects.open()] == [as_it_was.pk]


@at_once
def test_of_many_sweepers_one_gives_a_chunk_up_and_one_resumes_a_run(settings: Any) -> None:
    settings.EMBEDDING_CHUNK_SIZE = 1
    make_postings(3)
    run = planned_run(make_model())
    EmbeddingChunk.objects.update(attempts=settings.EMBEDDING_ATTEMPTS, error="bug")
    in_threads(4, settle)
    assert DeadLetter.objects.open().count() == 3
    assert {chunk.state for chunk in run.chunks.all()} == {"failed"}
    EmbeddingRun.objects.update(state="paused", resume_at=timezone.now())
    assert sorted(in_threads(4, lambda: runs.resume_due_runs(timezone.now()))) == [[], [], [], [run.pk]]
