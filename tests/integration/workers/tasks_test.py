"""The queues of tasks, with a real broker."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings

from apps.embeddings.leases import Lease
from apps.embeddings.models import EmbeddingChunk, EmbeddingRun
from tests.integration.embeddings.factories import make_model, make_postings, planned_run
from workers import tasks
from workers.app import app
from workers.encoding.errors import TransientEncoderError

TASKS: list[tuple[Any, list[Any], str]] = [
    (tasks.start_runs, [], "control"),
    (tasks.plan_run, [1], "control"),
    (tasks.index_texts, ["posting"], "control"),
    (tasks.group_near_copies, [], "control"),
    (tasks.embed_chunk, [1], "embed"),
    (tasks.write_wave, [1, 0], "write"),
    (tasks.build_indexes_of_run, [1], "control"),
    (tasks.invalidate_run, [1], "control"),
    (tasks.sweep, [], "control"),
    (tasks.prune, [], "control"),
]


@pytest.fixture
def broker(servers: Path) -> Iterator["redis.Redis"]:
    connection = redis.Redis.from_url(settings.REDIS_BROKER_URL)
    connection.flushdb()
    yield connection
    connection.flushdb()


def test_the_list_of_tasks_is_complete() -> None:
    assert {name for name in app.tasks if not name.startswith("celery.")} == {
        task.name for task, _, _ in TASKS
    }


@pytest.mark.parametrize(("task", "arguments", "queue"), TASKS, ids=[task.name for task, _, _ in TASKS])
def test_a_task_goes_to_its_queue(broker: "redis.Redis", task: Any, arguments: list[Any], queue: str) -> None:
    task.apply_async(args=arguments)
    app.send_task(task.name, args=arguments)  # by name, as the web tier does
    waiting = {
        name: [json.loads(message)["headers"]["task"] for message in broker.lrange(name, 0, -1)]
        for name in ("embed", "write", "control")
    }
    assert waiting == {"embed": [], "write": [], "control": []} | {queue: [task.name] * 2}


@pytest.mark.django_db
def test_a_chunk_is_released_and_its_run_pauses_after_the_last_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large(lease: Lease) -> None:
        raise TransientEncoderError("no memory for one window")

    monkeypatch.setattr("workers.chunks.process", too_large)
    make_postings(3)
    run = planned_run(make_model())
    [chunk] = run.chunks.all()
    # Called directly, to be at the last of eight retries; tests with real workers show the earlier ones.
    done = tasks.embed_chunk.apply(args=[chunk.pk], retries=tasks.RETRY["max_retries"])
    assert done.get() == chunk.pk  # a failed header would end its chord
    chunk.refresh_from_db()
    run.refresh_from_db()
    assert (chunk.state, chunk.attempts) == (EmbeddingChunk.State.PLANNED, 0)  # its texts are not blamed
    assert run.state == EmbeddingRun.State.PAUSED
    assert run.resume_at is not None
    assert "no memory for one window" in run.paused_because
