"""Fusion of ranked lists, and the choice of terms."""

import pytest

from apps.recommendations.fusion import (
    GUARANTEED_TEXT_ROWS,
    Term,
    affordable_terms,
    fuse,
    rank_weight,
    rarest_terms,
)
from apps.recommendations.weights import TextShare


@pytest.mark.parametrize(
    ("terms", "rank", "share"),
    [(0, 0.0, 0.25), (4, 0.0, 0.25), (7, 0.25, 0.625), (10, 0.5, 1.0), (500, 0.5, 1.0)],
)
def test_weight_of_full_text_grows_with_the_number_of_terms(terms: int, rank: float, share: float) -> None:
    assert rank_weight(terms) == pytest.approx(rank)
    assert TextShare(short_query=4, long_query=10, minimum=0.25).of(terms) == pytest.approx(share)


def test_fuse_puts_a_row_of_both_lists_before_rows_of_one() -> None:
    # 1/62 + 0.5/61 for row 2, 1/61 for row 1, 1/63 for row 3, 0.5/62 for row 4.
    assert fuse([1, 2, 3], [2, 4], weight=0.5, k=10) == [2, 1, 3, 4]
    assert fuse([], [4, 2], weight=1.0, k=10) == [4, 2]
    assert fuse([1, 2], [], weight=0.5, k=1) == [1]


def test_fuse_keeps_the_best_text_rows_when_their_weight_is_zero() -> None:
    first, second = list(range(200)), list(range(1000, 1200))
    found = fuse(first, second, weight=0.0, k=200)
    assert found == [*first[: 200 - GUARANTEED_TEXT_ROWS], *second[:GUARANTEED_TEXT_ROWS]]


def test_rarest_terms_are_taken_as_far_as_they_are_affordable() -> None:
    terms = [
        Term("nurse", 900),
        Term("care", 5_000),
        Term("ecmo", 0),
        Term("perfusionist", 0),
        Term("icu", 40),
    ]
    rare = rarest_terms(terms, limit=4)
    assert [term.lexeme for term in rare] == ["perfusionist", "ecmo", "icu", "nurse"]
    assert affordable_terms(rare, rows=500) == rare[:3]
    assert affordable_terms([Term("care", 5_000)], rows=500) == [Term("care", 5_000)]
    assert affordable_terms([], rows=500) == []
