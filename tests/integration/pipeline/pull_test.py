"""The pull of vectors from another embedding server, without a local embed worker."""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobrec_site.local.programs import ROOT
from proto import embedding_pb2
from tests.precomputed import PrecomputedServer, precomputed_server, vector_of
from tests.stack import Stack, wait_until

STORED = "SELECT count(*) AS n FROM embeddings_embeddingchunk WHERE state IN ('embedded', 'written')"


@pytest.fixture(scope="module")
def stack(servers: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """120 postings in chunks of up to 10. Leases outlast the test, so that nothing may wait for them."""
    folder = tmp_path_factory.mktemp("stack")
    stack = Stack(servers, folder, EMBEDDING_CHUNK_SIZE="10", EMBEDDING_LEASE="600")
    try:
        stack.create()
        stack.import_sample("postings", 120)
        stack.import_sample("candidates", 1)  # pending throughout, so that no model becomes active
        stack.start("sidecar", "write-worker")
        yield stack
    finally:
        stack.close()


@pytest.fixture
def elsewhere() -> Iterator[PrecomputedServer]:
    with precomputed_server() as server:
        yield server


def pull(stack: Stack, server: PrecomputedServer, *, status: int = 0) -> str:
    """The output of `pull`, which must exit with `status`."""
    return stack.manage("pull", server.address, "--kind=posting", status=status)


def test_pull_refuses_another_model_version_before_it_writes_anything(stack: Stack) -> None:
    with precomputed_server("main-t1-w1") as other:
        output = pull(stack, other, status=1)
    assert re.search(
        "the vectors are of sentence-transformers/all-MiniLM-L6-v2@main-t1-w1 with 384 dimensions, not of "
        "sentence-transformers/all-MiniLM-L6-v2@main-t1-w8-a[0-9a-f]{12} with 384",  # the shipped adapter
        output,
    )
    assert stack.sql("SELECT * FROM embeddings_embeddingrun") == []


def test_pull_starts_no_run_when_the_server_is_unavailable(stack: Stack) -> None:
    assert "UNAVAILABLE" in stack.manage("pull", "127.0.0.1:1", "--kind=posting", status=1)
    assert stack.sql("SELECT * FROM embeddings_embeddingrun") == []


def test_a_killed_pull_continues_with_the_chunks_that_were_not_stored(
    stack: Stack, elsewhere: PrecomputedServer
) -> None:
    command = [sys.executable, "manage.py", "pull", elsewhere.address, "--kind=posting"]
    killed = subprocess.Popen(command, cwd=ROOT, env=os.environ | stack.environment)
    elsewhere.gate.release(3)
    wait_until(lambda: stack.sql(STORED) == [{"n": 3}], "three chunks are stored")
    killed.kill()
    killed.wait(10)
    assert stack.sql("SELECT state, pulled_from FROM embeddings_embeddingrun") == [
        {"state": "running", "pulled_from": elsewhere.address}
    ]
    before = elsewhere.requests[:]
    elsewhere.gate.release(1000)
    assert "finished: 120 rows written, 0 dead letters" in pull(stack, elsewhere)

    # Stored chunks are not requested again. The others are, at once, although their leases have not expired.
    times = Counter(key for chunk in elsewhere.requests for key in chunk)
    stored = {key for chunk in before[:3] for key in chunk}
    assert all(times[key] == 1 for key in stored)
    assert {key for key, count in times.items() if count == 2} == {
        key for chunk in before[3:] for key in chunk
    }
    rows = stack.sql(
        "SELECT p.content_hash, e.vector::real[] AS vector "
        "FROM postings_posting p JOIN embeddings_postingembedding e "
        "ON e.posting_id = p.id AND e.content_hash = p.content_hash"
    )
    assert len(rows) == 120
    for row in rows:
        np.testing.assert_allclose(row["vector"], vector_of(row["content_hash"]), atol=1e-3)
    assert stack.sql("SELECT DISTINCT state FROM embeddings_embeddingchunk") == [{"state": "written"}]


def test_the_command_reports_that_nothing_is_pending(stack: Stack, elsewhere: PrecomputedServer) -> None:
    assert "Postings: nothing is pending" in pull(stack, elsewhere)


def test_unusable_vectors_become_dead_letters_and_the_others_are_written(
    stack: Stack, elsewhere: PrecomputedServer
) -> None:
    elsewhere.gate.release(1000)
    titles = ["SHORT", "NAN", "ZERO", "UNKNOWN", "QUOTED", "FINE"]
    for row_id, title in enumerate(titles, start=1):
        stack.sql("UPDATE postings_posting SET title = %s WHERE id = %s", [title, row_id])

    def spoil(text: embedding_pb2.Input) -> embedding_pb2.Output | None:
        outputs: dict[str, dict[str, Any]] = {
            "SHORT": {"vector": np.ones(100, "<f2").tobytes()},
            "NAN": {"vector": np.full(384, np.nan, "<f2").tobytes()},
            "ZERO": {"vector": np.zeros(384, "<f2").tobytes()},
            "UNKNOWN": {},
            "QUOTED": {"error": f"cannot embed {text.text[:60]}"},
        }
        spoiled = outputs.get(text.text.partition("\n")[0])
        return None if spoiled is None else embedding_pb2.Output(key=text.key, **spoiled)

    elsewhere.spoil = spoil
    assert "5 rows have no current vector" in pull(stack, elsewhere, status=1)
    assert stack.sql("SELECT row_id, step, error FROM embeddings_deadletter ORDER BY row_id") == [
        {"row_id": 1, "step": "pull", "error": "the vector has 100 dimensions, the model 384"},
        {"row_id": 2, "step": "pull", "error": "the vector is not finite"},
        {"row_id": 3, "step": "pull", "error": "the vector has no length"},
        {"row_id": 4, "step": "pull", "error": "the server has no vector of this text"},
        {"row_id": 5, "step": "pull", "error": "cannot embed …"},
    ]
    [fine] = stack.sql(
        "SELECT p.content_hash = e.content_hash AS current FROM postings_posting p "
        "JOIN embeddings_postingembedding e ON e.posting_id = p.id WHERE p.id = 6"
    )
    assert fine["current"]
