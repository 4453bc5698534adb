"""Pulls: a run is embedded by another server or by local workers, never by both."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from apps.embeddings import planning, pulling, runs
from apps.embeddings.client import EmbeddingClient
from apps.embeddings.leases import lease_chunk
from apps.embeddings.models import EmbeddingChunk, EmbeddingModel, EmbeddingRun
from apps.embeddings.pulling import PullError, pull_run
from apps.embeddings.sweeping import recover
from apps.rpc.client import Client
from proto import embedding_pb2_grpc
from tests.integration.embeddings.factories import lease_of, make_model, make_postings, planned_run
from tests.precomputed import DIMENSIONS, PrecomputedServer, precomputed_server

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def small_chunks(settings: Any) -> None:
    settings.EMBEDDING_CHUNK_SIZE = 10
    settings.EMBEDDING_WAVE_SIZE = 1
    settings.EMBEDDING_WAVES_IN_FLIGHT = 2


@pytest.fixture
def model(db: None) -> EmbeddingModel:
    return make_model(dimensions=DIMENSIONS, revision="main-t1-w8")


@pytest.fixture
def elsewhere() -> Iterator[PrecomputedServer]:
    with precomputed_server() as server:
        server.gate.release(1000)
        yield server


@pytest.fixture
def client(elsewhere: PrecomputedServer) -> Iterator[EmbeddingClient]:
    made: EmbeddingClient = Client(elsewhere.address, embedding_pb2_grpc.EmbeddingServiceStub)
    yield made
    made.close()


class LeftError(Exception):
    """Raised by a test to end a pull early, as a crash would."""


def states(run: EmbeddingRun) -> list[str]:
    return list(run.chunks.order_by("number").values_list("state", flat=True))


def leave(*_: object) -> None:
    raise LeftError


def test_local_workers_get_no_chunk_of_a_pulled_run_until_it_is_resumed(
    model: EmbeddingModel, client: EmbeddingClient
) -> None:
    make_postings(40)
    run = planned_run(model)
    with pytest.raises(LeftError):
        pull_run(run, client, on_chunk=leave)
    waiting = run.chunks.filter(state=EmbeddingChunk.State.PLANNED).values_list("pk", flat=True)
    run.chunks.filter(state=EmbeddingChunk.State.LEASED).update(
        state=EmbeddingChunk.State.PLANNED, lease=None
    )
    assert planning.claim_waves(run.pk) == []
    assert [lease_chunk(chunk, task_id=None, worker="here") for chunk in waiting] == [None] * len(waiting)

    assert runs.pause_run(run.pk, reason="test")
    assert runs.resume_run(run.pk)
    assert planning.claim_waves(run.pk) != []
    assert lease_of(run.chunks.get(pk=waiting[0])).attempts >= 1


def test_a_run_whose_pull_was_killed_is_paused_until_it_is_pulled_again(
    model: EmbeddingModel, client: EmbeddingClient
) -> None:
    make_postings(20)
    run = planned_run(model)
    with pytest.raises(LeftError):
        pull_run(run, client, on_chunk=leave)
    recover()
    run.refresh_from_db()
    assert run.state == EmbeddingRun.State.PAUSED
    assert run.paused_because == (
        f"The pull from {client.address} ended early. Pull again, or resume with local workers."
    )
    # A run that is pulled is not paused, even if all its vectors wait for the writer.
    pull_run(run, client, on_chunk=recover)
    recover()
    run.refresh_from_db()
    assert (run.state, states(run)) == (EmbeddingRun.State.RUNNING, ["embedded", "embedded"])


def test_pull_keeps_its_leases_when_the_server_needs_longer_than_a_lease(
    model: EmbeddingModel, settings: Any
) -> None:
    settings.EMBEDDING_LEASE = 2
    make_postings(20)
    run = planned_run(model)
    with precomputed_server() as server:
        client: EmbeddingClient = Client(server.address, embedding_pb2_grpc.EmbeddingServiceStub)
        for seconds in (3, 6):
            threading.Timer(seconds, server.gate.release).start()
        pull_run(run, client, on_chunk=lambda: None)
        client.close()
        assert len(server.requests) == 2  # no chunk was sent twice
    assert states(run) == ["embedded", "embedded"]


def test_pull_waits_when_the_writer_is_behind(model: EmbeddingModel, client: EmbeddingClient) -> None:
    make_postings(40)
    run = planned_run(model)
    calls = 0

    def watch() -> None:
        nonlocal calls
        calls += 1
        if calls == 4:  # after two chunks and two waits
            assert sorted(states(run)) == ["embedded", "embedded", "planned", "planned"]
            run.chunks.filter(state=EmbeddingChunk.State.EMBEDDED).update(state=EmbeddingChunk.State.WRITTEN)

    pull_run(run, client, on_chunk=watch)
    assert sorted(states(run)) == ["embedded", "embedded", "written", "written"]


def test_a_second_pull_of_a_run_is_refused(model: EmbeddingModel, client: EmbeddingClient) -> None:
    make_postings(10)
    run = planned_run(model)
    refused: list[str] = []

    def second() -> None:
        from django.db import connection

        try:
            pull_run(run, client, on_chunk=leave)
        except PullError as error:
            refused.append(str(error))
        finally:
            connection.close()

    def at_once() -> None:
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(20)

    pull_run(run, client, on_chunk=at_once)
    assert refused == [f"Cannot pull {run}: another process pulls it."]
    assert states(run) == ["embedded"]


def test_an_unavailable_server_pauses_the_run_and_costs_no_attempt(
    model: EmbeddingModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling, "MAX_FAILURES", 2)
    make_postings(10)
    run = planned_run(model)
    gone: EmbeddingClient = Client("127.0.0.1:1", embedding_pb2_grpc.EmbeddingServiceStub)
    with pytest.raises(PullError, match=r"2 attempts failed in a row, the last with .*UNAVAILABLE"):
        pull_run(run, gone, on_chunk=leave)
    run.refresh_from_db()
    chunk = run.chunks.get()
    assert (run.state, chunk.state, chunk.attempts) == ("paused", "planned", 0)
    assert "2 attempts failed" in run.paused_because


def test_vectors_of_another_model_version_are_refused(model: EmbeddingModel) -> None:
    make_postings(10)
    run = planned_run(model)
    with precomputed_server("other") as server:
        server.gate.release(10)
        client: EmbeddingClient = Client(server.address, embedding_pb2_grpc.EmbeddingServiceStub)
        with pytest.raises(PullError, match="the vectors are of test@other with 384 dimensions"):
            pull_run(run, client, on_chunk=leave)
    run.refresh_from_db()
    assert (run.state, states(run)) == ("paused", ["planned"])


def test_pull_stops_when_somebody_pauses_the_run(model: EmbeddingModel, client: EmbeddingClient) -> None:
    make_postings(40)
    run = planned_run(model)

    def pause() -> None:
        runs.pause_run(run.pk, reason="by hand")

    with pytest.raises(PullError, match="was paused or taken over by somebody else"):
        pull_run(run, client, on_chunk=pause)
    run.refresh_from_db()
    assert (run.state, run.paused_because) == ("paused", "by hand")
