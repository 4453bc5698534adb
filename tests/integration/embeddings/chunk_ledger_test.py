"""Chunks in the ledger: steps that run twice, late or concurrently do no harm."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from django.db import OperationalError, connection, transaction

from apps.embeddings import chunk_ledger, planning
from apps.embeddings.dead_letters import FailedText
from apps.embeddings.models import DeadLetter, EmbeddingChunk, EmbeddingRun, Invalidation, PostingEmbedding
from apps.embeddings.reading import read_texts
from apps.embeddings.registry import coverage
from apps.postings.models import Posting
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


def test_write_chunk_makes_rows_current_and_deletes_the_packed_vectors() -> None:
    postings = make_postings(3)
    model = make_model()
    run = planned_run(model)
    chunk = run.chunks.get()
    lease = lease_of(chunk)
    chunk_ledger.store_vectors(lease, embedded(lease))
    assert current_ids(model) == set()
    assert chunk_ledger.write_chunk(chunk.pk)
    assert current_ids(model) == {each.pk for each in postings}
    chunk.refresh_from_db()
    assert (chunk.state, chunk.rows_written, chunk.vectors, chunk.embedded_ids) == ("written", 3, None, None)
    assert Invalidation.objects.get().run == run
    found = PostingEmbedding.objects.get(posting=postings[1])
    assert found.vector[1:] == [1.0, 2.0, 3.0]
    assert not chunk_ledger.write_chunk(chunk.pk)  # when the body of the chord runs twice


def test_rows_with_equal_texts_share_a_vector_also_when_one_is_added_later() -> None:
    model = make_model()
    make_postings(4, title="Same", description="same")
    lease = lease_of(planned_run(model).chunks.get())
    texts, known = read_texts(lease)
    assert (len(texts), len(texts[0].row_ids), known) == (1, 4, {})
    chunk_ledger.store_vectors(lease, embedded(lease))
    chunk_ledger.write_chunk(lease.chunk_id)
    assert EmbeddingChunk.objects.get().rows_reused == 3
    chunk_ledger.finish_run(lease.run_id)

    [twin] = Posting.objects.bulk_create([Posting(external_id="twin", title="Same", description="same")])
    lease = lease_of(planned_run(model).chunks.get())
    texts, known = read_texts(lease)
    assert (texts, list(known.values())) == ([], [[twin.pk]])


@pytest.mark.parametrize("idle", [False, True])
def test_write_chunk_skips_rows_that_were_edited_or_deleted_since_they_were_read(
    settings: Any, monkeypatch: pytest.MonkeyPatch, *, idle: bool
) -> None:
    settings.EMBEDDING_IDLE = idle
    monkeypatch.setattr(chunk_ledger, "THROTTLED_ROWS", 2)
    edited, deleted, untouched = make_postings(3)
    model = make_model()
    lease = lease_of(planned_run(model).chunks.get())
    chunk_ledger.store_vectors(lease, embedded(lease))
    Posting.objects.filter(pk=edited.pk).update(title="Edited")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM postings_posting WHERE id = %s", [deleted.pk])
    assert chunk_ledger.write_chunk(lease.chunk_id)
    assert set(PostingEmbedding.objects.values_list("posting_id", flat=True)) == {untouched.pk}
    chunk = EmbeddingChunk.objects.get()
    assert (chunk.rows_written, chunk.rows_skipped) == (1, 2)
    assert planning.has_pending("posting", model)


@at_once
def test_a_model_is_locked_while_its_vectors_are_written_and_deleted_with_its_vectors() -> None:
    make_postings(2)
    model, other = make_model(), make_model(name="other")
    lease = lease_of(planned_run(model).chunks.get())
    chunk_ledger.store_vectors(lease, embedded(lease))
    [posting, _] = Posting.objects.all()
    PostingEmbedding.objects.create(posting=posting, model=other, content_hash=b"", vector=[1.0] * 4)

    def delete_model() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '200ms'")
            cursor.execute("DELETE FROM embeddings_embeddingmodel WHERE id = %s", [model.pk])
        connection.close()

    with ThreadPoolExecutor(1) as elsewhere:
        with transaction.atomic():
            chunk_ledger.write_chunk(lease.chunk_id)
            with pytest.raises(OperationalError, match="lock timeout"):
                elsewhere.submit(delete_model).result()
        EmbeddingRun.objects.all().delete()  # their foreign keys would keep the model
        elsewhere.submit(delete_model).result()
    assert PostingEmbedding.objects.get().model_id == other.pk


def test_write_chunk_does_not_replace_a_newer_vector_when_it_is_late() -> None:
    [posting] = make_postings(1)
    model = make_model()
    late = lease_of(planned_run(model).chunks.get())
    chunk_ledger.store_vectors(late, embedded(late, fill=7))
    Posting.objects.update(title="New text")
    EmbeddingRun.objects.update(state="finished")
    newer = lease_of(planned_run(model).chunks.get())
    chunk_ledger.store_vectors(newer, embedded(newer))
    chunk_ledger.write_chunk(newer.chunk_id)
    before = PostingEmbedding.objects.get(posting=posting).vector
    chunk_ledger.write_chunk(late.chunk_id)
    assert PostingEmbedding.objects.get(posting=posting).vector == before
    assert current_ids(model) == {posting.pk}


def test_a_failed_text_makes_a_dead_letter_of_each_of_its_rows_which_are_not_planned_again() -> None:
    first, second = make_postings(2, title="Bad", description="bad")
    make_postings(1)
    model = make_model()
    lease = lease_of(planned_run(model).chunks.get())
    texts, _ = read_texts(lease)
    bad = next(text for text in texts if len(text.row_ids) == 2)
    good = [each for each in embedded(lease) if each.content_hash != bad.content_hash]
    chunk_ledger.store_vectors(lease, good, [FailedText(bad, "encode", "ValueError: no", "trace")])
    chunk_ledger.write_chunk(lease.chunk_id)
    letters = DeadLetter.objects.all()
    assert {letter.row_id for letter in letters} == {first.pk, second.pk}
    assert {(each.step, each.error, each.attempts, each.state) for each in letters} == {
        ("encode", "ValueError: no", 1, "open")
    }
    counts = coverage(model, "posting")
    assert (counts.rows, counts.current, counts.dead, counts.pending) == (3, 1, 2, 0)
    assert not planning.has_pending("posting", model)
    # An edit makes the row pending again, whatever the letter says.
    Posting.objects.filter(pk=first.pk).update(title="Better")
    assert planning.has_pending("posting", model)


@at_once
def test_finish_run_succeeds_for_one_of_several_concurrent_callers() -> None:
    make_postings(1)
    run = planned_run(make_model())
    assert not chunk_ledger.finish_run(run.pk)
    EmbeddingChunk.objects.update(state="written")
    assert in_threads(6, lambda: chunk_ledger.finish_run(run.pk)).count(True) == 1
    assert not chunk_ledger.finish_run(run.pk)


@at_once
def test_write_chunk_succeeds_for_one_of_several_concurrent_callers() -> None:
    make_postings(10)
    model = make_model()
    lease = lease_of(planned_run(model).chunks.get())
    chunk_ledger.store_vectors(lease, embedded(lease))
    assert in_threads(4, lambda: chunk_ledger.write_chunk(lease.chunk_id)).count(True) == 1
    assert len(current_ids(model)) == 10
    assert EmbeddingChunk.objects.get().rows_written == 10


def test_store_vectors_stores_nothing_when_one_vector_is_not_finite() -> None:
    make_postings(2)
    lease = lease_of(planned_run(make_model()).chunks.get())
    vectors = embedded(lease)
    vectors[1].vector[0] = np.nan
    with pytest.raises(Exception, match="NaN"):
        chunk_ledger.store_vectors(lease, vectors)
