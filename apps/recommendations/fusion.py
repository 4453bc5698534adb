"""Fuse two ranked lists, and choose the terms to search for. Pure functions.

Lists are fused by reciprocal rank (G. Cormack, C. Clarke, S. Büttcher, "Reciprocal rank fusion outperforms
Condorcet and individual rank learning methods", SIGIR 2009): a row's score is Σ weight ÷ (RRF_K + rank) over
the lists.

Measured with bench/quality.py, nDCG@10: on long queries full text finds what the vector misses, on titles of
three words it misleads. So its weight grows with the number of distinct terms of the query.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Distinct terms of a query: up to the first, only the vector gives ranks; from the second on, full text has
# full weight.
SHORT_QUERY, LONG_QUERY = 4, 10
RRF_K = 60  # the constant of the paper
MAX_RANK_WEIGHT = 0.5  # of a rank by full text, against one by vector
# The best rows by full text, which are in the fused list however short the query is
GUARANTEED_TEXT_ROWS = 20


@dataclass(frozen=True)
class Term:
    """A term of a query as a lexeme of the index, and the number of rows expected to have it; 0 where too
    rare to tell."""

    lexeme: str
    rows: int


def rank_weight(terms: int) -> float:
    """The weight of a rank by full text, against one by vector: 0 for up to SHORT_QUERY distinct terms."""
    share = (terms - SHORT_QUERY) / (LONG_QUERY - SHORT_QUERY)
    return MAX_RANK_WEIGHT * min(1.0, max(0.0, share))


def fuse(first: Sequence[int], second: Sequence[int], *, weight: float, k: int) -> list[int]:
    """Up to `k` rows of both lists by reciprocal rank, the best first. `weight` is that of the second list.

    The GUARANTEED_TEXT_ROWS best of `second` are always among them: a person who types a rare term wants its
    rows.
    """
    scores: dict[int, float] = {}
    for share, rows in ((1.0, first), (weight, second)):
        for rank, row in enumerate(rows, start=1):
            scores[row] = scores.get(row, 0.0) + share / (RRF_K + rank)
    ordered = sorted(scores, key=lambda row: (-scores[row], row))
    guaranteed = set(second[: min(GUARANTEED_TEXT_ROWS, k)])
    places = k - sum(row in guaranteed for row in ordered[k:])
    return [row for place, row in enumerate(ordered) if place < places or row in guaranteed][:k]


def rarest_terms(terms: Iterable[Term], *, limit: int) -> list[Term]:
    """Up to `limit` terms, the rarest first; of those too rare to tell, the longest first."""
    return sorted(terms, key=lambda term: (term.rows, -len(term.lexeme), term.lexeme))[:limit]


def affordable_terms(terms: Sequence[Term], *, rows: int) -> list[Term]:
    """The first of `terms` that are expected in at most `rows` rows together; at least one where there is
    any."""
    chosen: list[Term] = []
    expected = 0
    for term in terms:
        expected += term.rows
        if chosen and expected > rows:
            break
        chosen.append(term)
    return chosen
