"""Dead letters: replayed, discarded, cleared."""

from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.embeddings import chunk_ledger, dead_letters, planning
from apps.embeddings.dead_letters import FailedText
from apps.embeddings.models import DeadLetter, EmbeddingRun, Invalidation
from apps.embeddings.reading import read_texts
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


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    sent: list[tuple[str, Any]] = []
    monkeypatch.setattr(
        "celery.current_app.send_task", lambda name, *_, **options: sent.append((name, options.get("args")))
    )
    return sent


@pytest.fixture
def run() -> EmbeddingRun:
    """A finished run over ten postings, two of which became dead letters."""
    make_postings(10)
    model = make_model()
    run = planned_run(model)
    planning.claim_waves(run.pk)
    lease = lease_of(run.chunks.get())
    texts, _ = read_texts(lease)
    good = [each for each in embedded(lease) if each.content_hash not in {t.content_hash for t in texts[:2]}]
    chunk_ledger.store_vectors(
        lease, good, [FailedText(text, "encode", "ValueError: no", "frames") for text in texts[:2]]
    )
    chunk_ledger.write_chunk(lease.chunk_id)
    assert chunk_ledger.finish_run(run.pk)
    Invalidation.objects.update(acknowledged_at="2026-01-01T00:00:00Z")
    run.refresh_from_db()
    return run


def test_replay_reopens_the_finished_run_until_its_rows_are_embedded(run: EmbeddingRun) -> None:
    assert (run.progress().written, run.progress().dead) == (8, 2)
    replayed = dead_letters.replay(DeadLetter.objects.all())
    assert (replayed.rows, replayed.runs, replayed.retired) == (2, [run.pk], 0)
    assert dead_letters.replay(DeadLetter.objects.all()).rows == 0

    run.refresh_from_db()
    assert (run.state, run.rows, run.progress().dead) == ("running", 10, 0)
    assert planning.claim_waves(run.pk) == [1]
    chunk = run.chunks.get(wave=1)
    lease = lease_of(chunk)
    assert (lease.isolated, lease.attempts) == (True, 1)
    chunk_ledger.store_vectors(lease, embedded(lease))
    chunk_ledger.write_chunk(chunk.pk)
    assert chunk_ledger.finish_run(run.pk)
    run.refresh_from_db()
    progress = run.progress()
    assert (run.state, run.finishes) == ("finished", 2)
    assert (progress.total, progress.written, progress.dead, progress.failed) == (10, 10, 0, 0)
    assert len(current_ids(run.model)) == 10
    # The invalidation is due again, although an earlier one was acknowledged.
    assert Invalidation.objects.get(run=run).acknowledged_at is None


def test_replay_sends_its_hint_after_the_commit(
    run: EmbeddingRun, no_broker: list[tuple[str, Any]], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks() as callbacks:
        dead_letters.replay(DeadLetter.objects.all())
    assert no_broker == []
    for send in callbacks:
        send()
    assert no_broker == [("workers.tasks.plan_run", [run.pk])]


def test_replay_needs_as_many_statements_for_many_letters_as_for_one(run: EmbeddingRun) -> None:
    counts = []
    for some in (DeadLetter.objects.all()[:1], DeadLetter.objects.all()):
        with CaptureQueriesContext(connection) as queries:
            dead_letters.replay(DeadLetter.objects.filter(pk__in=[letter.pk for letter in some]))
        counts.append(len(queries))
        DeadLetter.objects.update(state="open")
        EmbeddingRun.objects.update(state="finished", finished_at=timezone.now())
    assert counts[0] == counts[1]


def test_a_replayed_row_that_fails_again_becomes_a_dead_letter_again(run: EmbeddingRun) -> None:
    dead_letters.replay(DeadLetter.objects.all())
    planning.claim_waves(run.pk)
    lease = lease_of(run.chunks.get(wave=1))
    texts, _ = read_texts(lease)
    chunk_ledger.store_vectors(lease, [], [FailedText(text, "encode", "still no", "") for text in texts])
    chunk_ledger.write_chunk(lease.chunk_id)
    assert chunk_ledger.finish_run(run.pk)
    assert {letter.error for letter in DeadLetter.objects.open()} == {"still no"}
    assert run.progress().dead == 2


def test_replayed_rows_join_the_open_run(run: EmbeddingRun) -> None:
    make_postings(3)
    newer = planned_run(run.model)
    replayed = dead_letters.replay(DeadLetter.objects.all())
    assert replayed.runs == [newer.pk]
    run.refresh_from_db()
    newer.refresh_from_db()
    assert (run.state, run.rows, run.progress().written, run.progress().dead) == ("finished", 8, 8, 0)
    assert (newer.rows, newer.progress().total) == (5, 5)
    assert sorted(chunk.rows for chunk in newer.chunks.all()) == [2, 3]


def test_replay_starts_a_new_run_when_the_run_of_a_letter_was_deleted(run: EmbeddingRun) -> None:
    run.delete()
    [run_id] = dead_letters.replay(DeadLetter.objects.all()).runs
    assert planning.write_plan(run_id).rows == 2


def test_replay_leaves_letters_of_a_retired_model_alone(run: EmbeddingRun) -> None:
    run.model.state = "retired"
    run.model.save()
    replayed = dead_letters.replay(DeadLetter.objects.all())
    assert (replayed.rows, replayed.runs, replayed.retired) == (0, [], 2)
    assert DeadLetter.objects.open().count() == 2


def test_a_discarded_row_is_not_pending_until_it_is_edited(run: EmbeddingRun) -> None:
    from apps.postings.models import Posting

    assert dead_letters.discard(DeadLetter.objects.all()) == 2
    assert not planning.has_pending("posting", run.model)
    Posting.objects.filter(pk=DeadLetter.objects.first().row_id).update(title="Edited")  # type: ignore[union-attr]
    assert planning.has_pending("posting", run.model)


def test_the_dead_letters_command_lists_shows_replays_and_discards(
    run: EmbeddingRun,
    capsys: pytest.CaptureFixture[str],
    no_broker: Any,
    django_capture_on_commit_callbacks: Any,
) -> None:
    first, second = DeadLetter.objects.order_by("pk")
    call_command("dead_letters", "list")
    output = capsys.readouterr().out
    assert f"{second.pk}  posting {second.row_id}  encode, 1 attempts" in output
    assert "2 with: ValueError: no" in output
    call_command("dead_letters", "show", str(first.pk))
    assert "frames" in capsys.readouterr().out
    call_command("dead_letters", "discard", str(first.pk))
    assert capsys.readouterr().out == "1 dead letters are discarded.\n"
    with django_capture_on_commit_callbacks(execute=True):
        call_command("dead_letters", "replay", "--error", "valueerror")
    assert capsys.readouterr().out == f"1 rows are tried again by run {run.pk}.\n"
    assert no_broker == [("workers.tasks.plan_run", [run.pk])]
    with pytest.raises(Exception, match="No dead letter has the number 99999"):
        call_command("dead_letters", "replay", "99999")
    with pytest.raises(Exception, match="No letters are selected"):
        call_command("dead_letters", "replay")


def test_clear_outdated_clears_letters_of_rows_that_were_edited_or_deleted() -> None:
    edited, deleted, as_it_was = make_postings(3)
    model = make_model()
    lease = lease_of(planned_run(model).chunks.get())
    texts, _ = read_texts(lease)
    chunk_ledger.store_vectors(lease, [], [FailedText(text, "encode", "no", "") for text in texts])
    assert dead_letters.clear_outdated() == 0
    Posting.objects.filter(pk=edited.pk).update(title="Better")
    Posting.objects.filter(pk=deleted.pk).delete()
    assert dead_letters.clear_outdated() == 2
    assert [letter.row_id for letter in DeadLetter.objects.open()] == [as_it_was.pk]
