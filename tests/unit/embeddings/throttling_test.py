"""Throttled work, on a clock that only work moves."""

from types import SimpleNamespace

import pytest

from apps.embeddings import throttling


def test_throttled_slices_pauses_as_long_as_the_last_slice_took(monkeypatch: pytest.MonkeyPatch) -> None:
    now, pauses = 0.0, list[float]()
    clock = SimpleNamespace(perf_counter=lambda: now, sleep=pauses.append)
    monkeypatch.setattr("apps.embeddings.throttling.time", clock)
    done = []
    for part, work in zip(throttling.throttled_slices(10, 4), (2.0, 5.0, 1.0), strict=True):
        done.append(part)
        now += work
    assert done == [(0, 4), (4, 8), (8, 10)]
    assert [pause for pause in pauses if pause] == [2.0, 5.0]
