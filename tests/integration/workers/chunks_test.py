"""A chunk that is embedded by the worker: what ends the encoding, and what it is blamed on."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from django.db import OperationalError

from apps.embeddings.errors import LeaseLostError
from apps.embeddings.leases import Lease
from apps.embeddings.models import DeadLetter, EmbeddingChunk
from tests.integration.embeddings.factories import (
    DIMENSIONS,
    lease_of,
    make_model,
    make_postings,
    planned_run,
)
from workers import chunks

pytestmark = pytest.mark.django_db


class FakeEncoder:
    """Counts the calls of `encode`, which calls back after its one batch, as a real encoder does."""

    def __init__(self) -> None:
        self.calls = 0

    def encode(self, texts: Sequence[str], *, on_batch: Callable[[], None]) -> np.ndarray:
        """Vectors of ones."""
        self.calls += 1
        on_batch()
        return np.ones((len(texts), DIMENSIONS), np.float32)


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> FakeEncoder:
    made = FakeEncoder()
    monkeypatch.setattr(chunks, "encoder_of", lambda _: made)
    return made


@pytest.fixture
def lease(db: None) -> Lease:
    make_postings(8)
    return lease_of(planned_run(make_model()).chunks.get())


def raise_from_heartbeat(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let the heartbeat of each lease raise an error."""

    def beat(_: Any) -> None:
        raise error

    monkeypatch.setattr("apps.embeddings.leases.Heartbeat.beat", beat)


def test_process_ends_at_once_and_blames_no_text_when_the_lease_is_lost(
    encoder: FakeEncoder, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    raise_from_heartbeat(monkeypatch, LeaseLostError("another worker embeds it"))
    monkeypatch.setattr("os.kill", lambda *_: pytest.fail("the worker must go on"))
    chunks.process(lease)
    assert (encoder.calls, DeadLetter.objects.count()) == (1, 0)


def test_process_raises_for_a_retry_when_the_database_is_lost_while_it_encodes(
    encoder: FakeEncoder, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    raise_from_heartbeat(monkeypatch, OperationalError("the database is unavailable"))
    with pytest.raises(OperationalError):
        chunks.process(lease)
    assert (encoder.calls, DeadLetter.objects.count()) == (1, 0)
    assert EmbeddingChunk.objects.get().state == EmbeddingChunk.State.LEASED
