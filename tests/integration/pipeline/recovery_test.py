"""Restarts, lost messages and duplicate processes, with real processes."""

from collections.abc import Iterator
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP

import pytest
import redis

from jobrec_site.local.programs import Program
from tests.stack import Stack, wait_until

STATES = (
    "SELECT state, count(*) AS n, max(attempts) AS attempts FROM embeddings_embeddingchunk GROUP BY state"
)
CURRENT = """
    SELECT count(*) AS n FROM postings_posting p JOIN embeddings_postingembedding e
    ON e.posting_id = p.id AND e.content_hash = p.content_hash
"""
ROWS = 120


@pytest.fixture(scope="module")
def stack(servers: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    stack = Stack(
        servers,
        folder,
        EMBEDDING_CHUNK_SIZE="20",
        EMBEDDING_WAVE_SIZE="2",
        EMBEDDING_WINDOWS="1",
    )
    second_beat = Program("beat-2", stack.programs["beat"].arguments)
    try:
        stack.create(second_beat)
        stack.embed_every_two_seconds()
        stack.import_sample("postings", ROWS)
        stack.start("sidecar")
        yield stack
    finally:
        stack.close()


def states(stack: Stack) -> dict[str, int]:
    """Numbers of chunks by state."""
    return {row["state"]: row["n"] for row in stack.sql(STATES)}


def flush_broker(stack: Stack) -> None:
    """Delete all messages, results and cached responses."""
    for url in stack.redis_urls:
        redis.Redis.from_url(url).flushdb()


def test_embedded_chunks_are_not_embedded_again_after_all_workers_were_killed(stack: Stack) -> None:
    stack.start("write-worker", "embed-worker")
    stack.manage("embed", "--kind=posting")
    # The writer is stopped, so that vectors wait in the ledger when the worker is killed.
    wait_until(lambda: states(stack).get("leased"), "a chunk is being embedded")
    stack.signal("write-worker", SIGSTOP)
    wait_until(lambda: states(stack).get("embedded", 0) >= 2, "vectors wait in the ledger")
    for name in ("embed-worker", "write-worker"):
        stack.signal(name, SIGKILL)
        stack.halt(name)
    flush_broker(stack)
    before = stack.sql(
        "SELECT id, embedded_at FROM embeddings_embeddingchunk "
        "WHERE state IN ('embedded', 'written') ORDER BY id"
    )
    stack.start("write-worker", "beat", "embed-worker")
    wait_until(lambda: stack.sql(CURRENT) == [{"n": ROWS}], "every row has a current vector", timeout=240)
    ids = [row["id"] for row in before]
    after = stack.sql(
        "SELECT id, embedded_at FROM embeddings_embeddingchunk WHERE id = ANY (%s) ORDER BY id", [ids]
    )
    assert after == before
    wait_until(lambda: set(states(stack)) == {"written"}, "the ledger is done")
    wait_until(
        lambda: (
            stack.sql("SELECT state, finishes FROM embeddings_embeddingrun")
            == [{"state": "finished", "finishes": 1}]
        ),
        "the run is finished, once",
    )


def test_two_beat_processes_start_one_run_for_an_edit(stack: Stack) -> None:
    stack.start("beat-2")
    before = stack.sql("SELECT count(*) AS n FROM embeddings_embeddingrun")[0]["n"]
    stack.sql("UPDATE postings_posting SET title = 'Edited once' WHERE id <= 5")
    wait_until(lambda: stack.sql(CURRENT) == [{"n": ROWS}], "the edited rows are embedded again")
    wait_until(
        lambda: not stack.sql("SELECT FROM embeddings_embeddingrun WHERE state NOT IN ('finished')"),
        "the run ends",
    )
    runs = stack.sql("SELECT rows, finishes FROM embeddings_embeddingrun ORDER BY id OFFSET %s", [before])
    assert runs == [{"rows": 5, "finishes": 1}]
    stack.halt("beat-2")


def test_a_paused_run_is_resumed_by_the_command(stack: Stack) -> None:
    stack.halt("beat")
    stack.signal("embed-worker", SIGSTOP)  # quicker than a restart, which is tested above
    stack.sql("UPDATE postings_posting SET title = 'Edited twice' WHERE id <= 20")
    stack.manage("embed", "--kind=posting")
    wait_until(lambda: states(stack).get("planned"), "the run is planned")
    assert "is paused" in stack.manage("embed", "--pause")
    assert "was paused (command line). Resume it with `embed --resume`." in stack.manage("embed")
    assert stack.sql("SELECT state FROM embeddings_embeddingrun ORDER BY id DESC LIMIT 1") == [
        {"state": "paused"}
    ]
    stack.signal("embed-worker", SIGCONT)
    assert "is under way" in stack.manage("embed", "--resume")
    stack.manage("embed", "--wait", "--timeout=200")
    assert stack.sql(CURRENT) == [{"n": ROWS}]


def test_rows_of_a_cancelled_run_are_embedded_by_the_next_run(stack: Stack) -> None:
    stack.signal("embed-worker", SIGSTOP)
    stack.sql("UPDATE postings_posting SET title = 'Edited thrice' WHERE id <= 20")
    stack.manage("embed", "--kind=posting")
    wait_until(lambda: states(stack).get("planned"), "the run is planned")
    assert "is cancelled" in stack.manage("embed", "--cancel")
    assert "No run is open" in stack.manage("embed", "--resume")
    stack.signal("embed-worker", SIGCONT)
    stack.manage("embed", "--kind=posting", "--wait", "--timeout=200")
    assert stack.sql(CURRENT) == [{"n": ROWS}]
