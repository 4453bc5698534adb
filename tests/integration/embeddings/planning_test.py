"""Plans: chunks and waves of pending rows, and claims of waves."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.embeddings import chunk_ledger, planning
from apps.embeddings.kinds import tables
from apps.embeddings.models import EmbeddingChunk
from apps.recommendations import text_index
from tests.integration.embeddings.concurrency import in_threads
from tests.integration.embeddings.factories import make_model, make_postings, planned_run

pytestmark = pytest.mark.django_db
at_once = pytest.mark.django_db(transaction=True)


def test_a_plan_contains_every_pending_row_once_the_longest_first() -> None:
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


def test_queries_for_pending_rows_read_current_rows_from_indexes_only() -> None:
    names, texts = tables("posting"), text_index.text_table("posting")
    with connection.cursor() as cursor:  # so that no index has pages of earlier tests; rolled back afterwards
        cursor.execute(f"TRUNCATE {names.record}, {names.embedding}, {texts} CASCADE")
    model = make_model()
    make_postings(3)
    with CaptureQueriesContext(connection) as queries:
        assert planning.has_pending("posting", model)
        planned_run(model)
        text_index.update_text_index("posting", limit=10)
    by_reader = {
        reader: next(each["sql"] for each in queries if reader in each["sql"])
        for reader in ("SELECT EXISTS", "WITH missing AS MATERIALIZED", "text.content_hash IS DISTINCT FROM")
    }
    for reader, sql in by_reader.items():
        plan = plan_of(sql, [names.record, names.embedding, texts])
        content_index = "posting_text_content" if "text." in reader else "posting_embedding_content"
        for index in ("posting_content", content_index):
            assert f"Index Only Scan using {index}" in plan, plan


def plan_of(sql: str, large: list[str]) -> str:
    """The plan of PostgreSQL if the `large` tables had a million rows."""
    with connection.cursor() as cursor:
        for table in large:
            cursor.execute(
                "SELECT pg_restore_relation_stats('schemaname', current_schema::text, 'relname', %s, "
                "'relpages', 100000, 'reltuples', 1000000::real, 'relallvisible', 100000)",
                [table],
            )
        for way in ("seqscan", "bitmapscan"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
        cursor.execute(f"EXPLAIN {sql}")
        return "\n".join(row[0] for row in cursor.fetchall())


def test_chunks_of_long_texts_have_fewer_rows() -> None:
    model = make_model(windows=8)
    make_postings(20, description="x" * 12_000)
    sizes = [chunk.rows for chunk in planned_run(model).chunks.order_by("number")]
    # A chunk holds up to 10 rows of 2 windows, so 2 or 3 rows of 8 windows.
    assert sum(sizes) == 20
    assert set(sizes) <= {1, 2, 3}


@pytest.mark.parametrize(
    ("rows", "length", "chunks"),
    [
        (48, 12_000, [3] * 16),
        (20, 1_000, [20]),  # less than a batch: more chunks would only add messages
    ],
)
def test_a_small_run_is_divided_into_equal_chunks_for_all_slots(
    settings: Any, rows: int, length: int, chunks: list[int]
) -> None:
    settings.EMBEDDING_CHUNK_SIZE = 250
    make_postings(rows, description="x" * length)
    run = planned_run(make_model(windows=8))
    assert [chunk.rows for chunk in run.chunks.order_by("number")] == chunks


def test_duplicates_share_a_chunk_up_to_its_size() -> None:
    make_postings(7, description="x" * 50)
    make_postings(8, title="Same", description="y" * 40)
    make_postings(25, title="Many", description="z" * 30)
    sizes = [chunk.rows for chunk in planned_run(make_model()).chunks.order_by("number")]
    # 7 different and all 8 equal ones; the 25 equal ones fill two chunks and a part of a third.
    assert sizes == [15, 10, 10, 5]


def test_write_plan_writes_chunks_once_when_called_twice() -> None:
    make_postings(5)
    run = planned_run(make_model())
    planning.write_plan(run.pk)
    assert run.chunks.count() == 1


def test_claim_waves_claims_in_order_up_to_the_limit_in_flight() -> None:
    make_postings(75)  # 8 chunks, 4 waves
    run = planned_run(make_model())
    assert planning.claim_waves(run.pk) == [0, 1]
    assert planning.claim_waves(run.pk) == []
    for chunk_id in chunk_ledger.chunks_of_wave(run.pk, 0):
        EmbeddingChunk.objects.filter(pk=chunk_id).update(state="written")
    assert planning.claim_waves(run.pk) == [2]


@at_once
def test_claim_waves_gives_each_wave_to_one_of_several_concurrent_callers() -> None:
    make_postings(75)
    run = planned_run(make_model())
    claims = in_threads(5, lambda: planning.claim_waves(run.pk))
    assert sorted(wave for claim in claims for wave in claim) == [0, 1]
