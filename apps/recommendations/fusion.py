"""How a query's words count beside its vector, and how two lists of rows become one. Pure.

Measured by bench/fusion.py, nDCG@10: on long queries the words find what the vector misses, on titles of three words
they mislead it. So their say grows with the number of different words in the query.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

FEW, MANY = (
    4,
    10,
)  # different words of a query: up to FEW the vector alone gives ranks, from MANY on the words have full say
SHORT_QUERY = 0.25  # share of its weight that a text score keeps in a short query
RANK_OFFSET = 60  # the usual constant of reciprocal rank fusion
RANK_WEIGHT = 0.5  # a rank in the text list counts at most half as much as one in the vector list
CERTAIN_PLACES = 20  # places of the fused list that the best by text have, however short the query


@dataclass(frozen=True)
class Word:
    """A word of a query, as the index has it, and in how many rows it is expected; 0 where it is too rare to tell."""

    lexeme: str
    rows: int


def length_share(words: int) -> float:
    """0 for a query of up to FEW different words, 1 from MANY on, linear between."""
    return min(1.0, max(0.0, (words - FEW) / (MANY - FEW)))


def text_share(words: int) -> float:
    """The share of its weight that the text score has in ranking."""
    return SHORT_QUERY + (1.0 - SHORT_QUERY) * length_share(words)


def rank_weight(words: int) -> float:
    """How much a rank in the list by text counts, against one in the list by vector."""
    return RANK_WEIGHT * length_share(words)


def fused(first: Sequence[int], second: Sequence[int], *, weight: float, k: int) -> list[int]:
    """Up to `k` rows of both lists by reciprocal rank, each once, the best first. `weight` is that of the second list.

    The CERTAIN_PLACES best of `second` are always among them: who types a rare word wants to see the rows that have it.
    """
    scores: dict[int, float] = {}
    for share, rows in ((1.0, first), (weight, second)):
        for rank, row in enumerate(rows, start=1):
            scores[row] = scores.get(row, 0.0) + share / (RANK_OFFSET + rank)
    ordered = sorted(scores, key=lambda row: (-scores[row], row))
    certain = set(second[: min(CERTAIN_PLACES, k)])
    places = k - sum(row in certain for row in ordered[k:])
    return [row for place, row in enumerate(ordered) if place < places or row in certain][:k]


def informative(words: Iterable[Word], *, limit: int) -> list[Word]:
    """Up to `limit` words, the rarest first; of those too rare to tell, the longest first."""
    return sorted(words, key=lambda word: (word.rows, -len(word.lexeme), word.lexeme))[:limit]


def affordable(words: Sequence[Word], *, rows: int) -> list[Word]:
    """The first of `words` that together are expected in no more than `rows` rows; at least one where there is any."""
    chosen: list[Word] = []
    expected = 0
    for word in words:
        expected += word.rows
        if chosen and expected > rows:
            break
        chosen.append(word)
    return chosen
