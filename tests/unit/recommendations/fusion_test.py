import pytest

from apps.recommendations.fusion import (
    CERTAIN_PLACES,
    Word,
    affordable,
    fused,
    informative,
    rank_weight,
    text_share,
)


@pytest.mark.parametrize(
    ("words", "rank", "share"),
    [(0, 0.0, 0.25), (4, 0.0, 0.25), (7, 0.25, 0.625), (10, 0.5, 1.0), (500, 0.5, 1.0)],
)
def test_words_count_more_in_a_longer_query(words: int, rank: float, share: float) -> None:
    assert rank_weight(words) == pytest.approx(rank)
    assert text_share(words) == pytest.approx(share)


def test_a_row_of_both_lists_comes_before_rows_of_one() -> None:
    # 1/62 + 0.5/61 for row 2, 1/61 for row 1, 1/63 for row 3, 0.5/62 for row 4.
    assert fused([1, 2, 3], [2, 4], weight=0.5, k=10) == [2, 1, 3, 4]
    assert fused([], [4, 2], weight=1.0, k=10) == [4, 2]
    assert fused([1, 2], [], weight=0.5, k=1) == [1]


def test_the_best_by_text_have_places_however_little_they_weigh() -> None:
    first, second = list(range(200)), list(range(1000, 1200))
    found = fused(first, second, weight=0.0, k=200)
    assert found == [*first[: 200 - CERTAIN_PLACES], *second[:CERTAIN_PLACES]]


def test_the_rarest_words_are_taken_as_far_as_they_are_affordable() -> None:
    words = [
        Word("nurse", 900),
        Word("care", 5_000),
        Word("ecmo", 0),
        Word("perfusionist", 0),
        Word("icu", 40),
    ]
    rare = informative(words, limit=4)
    assert [word.lexeme for word in rare] == ["perfusionist", "ecmo", "icu", "nurse"]
    assert affordable(rare, rows=500) == rare[:3]
    assert affordable([Word("care", 5_000)], rows=500) == [Word("care", 5_000)]
    assert affordable([], rows=500) == []
