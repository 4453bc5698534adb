"""Measures of a ranking, their intervals, and the comparison with the stored card."""

import pytest

from bench.quality import compare, interval, measure
from bench.report import Report


def test_measures_count_ranks_and_gains() -> None:
    gains = {7: 2.0, 8: 1.0}
    assert measure([7, 8], gains) == (1.0, 1.0, 1.0)
    reciprocal, precision, ndcg = measure([8, 1, 7], gains)
    assert (reciprocal, precision) == (1 / 3, (1 / 1 + 2 / 3) / 2)
    assert ndcg == pytest.approx((1 + 2 / 2) / (2 + 1 / 1.584962500721156))
    assert measure([1, 2], gains) == (0.0, 0.0, 0.0)


def test_interval_holds_the_mean_and_is_repeatable() -> None:
    low, high = interval([0.0, 1.0] * 50)
    assert low < 0.5 < high
    assert (low, high) == interval([0.0, 1.0] * 50)


@pytest.mark.parametrize(("now", "status"), [(0.5, 0), (0.497, 0), (0.4, 1)])
def test_comparison_fails_when_a_set_falls_significantly(now: float, status: int) -> None:
    result = Report()
    compare(result, "set", {"nDCG@10": [now] * 100}, {"nDCG@10": [0.5] * 100})
    assert result.status == status


def test_comparison_passes_when_a_fall_may_be_chance() -> None:
    result = Report()
    compare(result, "set", {"nDCG@10": [0.0] * 5 + [1.0] * 5}, {"nDCG@10": [1.0] * 6 + [0.0] * 4})
    assert result.status == 0
