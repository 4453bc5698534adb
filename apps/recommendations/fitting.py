"""Fit the weights of a ranking to lists whose right rows are known.

The loss is listwise: a smooth approximation of nDCG, in which ranks are sums of sigmoids of differences of
scores (T. Qin, T. Liu, H. Li, "A general approximation framework for direct optimization of information
retrieval measures", Information Retrieval 13, 2010), minimized by SciPy's L-BFGS-B with weights of 0 or more.
A term draws the weights to those of the ranking in use, so that few lists change little. The weight of the
vector stays as it is, since only ratios of weights matter. Needs SciPy, which comes with the extra `worker`.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from apps.recommendations.weights import PARTS, TEXT_PARTS, Ranking

Array = npt.NDArray[np.float64]

# Parts that can be learned from what is found relevant. The others are wishes of the site or of the search.
FITTED = PARTS[: PARTS.index("same_title")]
MINIMUM_SHARES = (0.0, 0.05, 0.1, 0.25)  # of text in short queries, tried in turn
FOLDS = 5
PRIOR = 1.0  # weight of the draw to the ranking in use, in lists
SMOOTHNESS = 0.005
MAX_WEIGHT = 2.0
DEPTH = 10
RESAMPLES = 1_000


@dataclass(frozen=True)
class RankedList:
    """Rows of one query: `values` is rows × PARTS, 0 where unknown; `gains` are above 0 for right rows.

    `terms` is the number of distinct terms of the query. Groups of lists count alike, however many lists each
    has.
    """

    group: str
    terms: int
    values: Array
    gains: Array


@dataclass(frozen=True)
class GroupResult:
    """nDCG@10 on held-out lists of a group, in use and fitted, and the 95 % interval of the difference."""

    group: str
    lists: int
    in_use: float
    fitted: float
    low: float
    high: float

    @property
    def passes(self) -> bool:
        """Whether the fitted weights are not significantly worse."""
        return self.high >= 0


@dataclass(frozen=True)
class Fit:
    """The fitted ranking, and how the same procedure did on the lists that each fold held out."""

    ranking: Ranking
    groups: list[GroupResult]

    @property
    def passes(self) -> bool:
        """Whether no group became significantly worse."""
        return all(group.passes for group in self.groups)


def fit(lists: Sequence[RankedList], in_use: Ranking, *, version: str) -> Fit:
    """Fit the weights, and the share of text in short queries, by cross-validation over lists.

    Raises ValueError where fewer than FOLDS lists have both a right and another row.
    """
    usable = [each for each in lists if 0 < np.count_nonzero(each.gains) < len(each.gains)]
    if len(usable) < FOLDS:
        raise ValueError(f"{len(usable)} lists with a right and another row are too few, {FOLDS} are needed")
    folds = np.random.default_rng(0).permutation(len(usable)) % FOLDS
    rankings = (
        _fitted(usable, in_use),
        [
            _fitted([each for each, fold in zip(usable, folds, strict=True) if fold != held_out], in_use)
            for held_out in range(FOLDS)
        ],
    )
    before, after = defaultdict(list), defaultdict(list)
    for each, fold in zip(usable, folds, strict=True):
        before[each.group].append(_ndcg(each, in_use))
        after[each.group].append(_ndcg(each, rankings[1][fold]))
    groups = [_compared(group, before[group], after[group]) for group in before]
    card = {each.group: {"lists": each.lists, "nDCG@10": round(each.fitted, 4)} for each in groups}
    fitted = {"parts": [name for name in FITTED if _is_known(name, usable)], "held_out": card}
    return Fit(rankings[0].model_copy(update={"version": version, "fitted": fitted}), groups)


def _compared(group: str, before: list[float], after: list[float]) -> GroupResult:
    gain = np.array(after) - np.array(before)
    draws = np.random.default_rng(0).integers(len(gain), size=(RESAMPLES, len(gain)))
    low, high = np.percentile(gain[draws].mean(1), [2.5, 97.5])
    return GroupResult(
        group, len(gain), float(np.mean(before)), float(np.mean(after)), float(low), float(high)
    )


def _is_known(name: str, lists: Sequence[RankedList]) -> bool:
    column = PARTS.index(name)
    return any(each.values[:, column].any() for each in lists)


def _fitted(lists: Sequence[RankedList], in_use: Ranking) -> Ranking:
    """The ranking of least loss over the shares of text that are tried."""
    shares = MINIMUM_SHARES if any(_share(in_use, each) < 1 for each in lists) else ()
    rankings = [
        in_use.model_copy(update={"text_share": in_use.text_share.model_copy(update={"minimum": minimum})})
        for minimum in shares
    ]
    return min((_minimized(lists, each) for each in rankings or [in_use]), key=lambda each: each[0])[1]


def _share(ranking: Ranking, of: RankedList) -> float:
    return ranking.text_share.of(of.terms)


def _weighed(ranking: Ranking, of: RankedList) -> Array:
    """The values of a list with those of text parts scaled by their share."""
    scale = np.array([_share(ranking, of) if name in TEXT_PARTS else 1.0 for name in PARTS])
    return np.asarray(of.values * scale)


def _minimized(lists: Sequence[RankedList], in_use: Ranking) -> tuple[float, Ranking]:
    """The least loss, and the ranking with the weights that have it."""
    from scipy.optimize import minimize

    sizes: dict[str, int] = defaultdict(int)
    for each in lists:
        sizes[each.group] += 1
    weights = np.array([in_use.weights[name] for name in PARTS])
    learned = np.array([name in FITTED[1:] and _is_known(name, lists) for name in PARTS])
    start = weights[learned]
    data = [
        (_weighed(in_use, each), _approximate_gains(each), 1 / (sizes[each.group] * len(sizes)))
        for each in lists
    ]

    def loss(parameters: Array) -> tuple[float, Array]:
        full = weights.copy()
        full[learned] = parameters
        whole = full.sum()  # scores are compared at one scale, or larger weights would seem to be better ones
        value, slope = 0.0, np.zeros_like(full)
        for matrix, gains, share in data:
            scores = matrix @ full / whole
            gained, by_score = _smooth_ndcg(scores, gains)
            value -= share * gained
            slope -= share * (by_score @ matrix - by_score @ scores) / whole
        drawn = PRIOR / len(lists) * (parameters - start)
        return value + float(drawn @ (parameters - start)), slope[learned] + 2 * drawn

    bounds = [(0.0, MAX_WEIGHT)] * len(start)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    names = [name for name, is_learned in zip(PARTS, learned, strict=True) if is_learned]
    fitted = {name: round(float(value), 4) for name, value in zip(names, found.x, strict=True)}
    return float(found.fun), in_use.with_weights(**fitted)


def _approximate_gains(of: RankedList) -> Array:
    """The gains as shares of the best possible discounted gain."""
    ideal = np.sort(of.gains)[::-1]
    return np.asarray(of.gains / (ideal / np.log2(np.arange(2, len(ideal) + 2))).sum())


def _smooth_ndcg(scores: Array, gains: Array) -> tuple[float, Array]:
    """The approximate nDCG of a list, and its gradient by the scores."""
    right = np.flatnonzero(gains)
    differences = np.clip((scores[None] - scores[right, None]) / SMOOTHNESS, -30, 30)
    before = 1 / (1 + np.exp(-differences))  # right rows × rows
    logs = np.log2(1.5 + before.sum(1))  # 1 + rank: a row is half before itself
    by_rank = -gains[right] / (logs**2 * np.log(2) * 2**logs)
    by_difference = by_rank[:, None] * before * (1 - before) / SMOOTHNESS
    by_score = by_difference.sum(0)
    by_score[right] -= by_difference.sum(1)
    return float((gains[right] / logs).sum()), np.asarray(by_score)


def _ndcg(of: RankedList, ranking: Ranking) -> float:
    scores = _weighed(ranking, of) @ np.array([ranking.weights[name] for name in PARTS])
    gains = of.gains[np.argsort(-scores, kind="stable")][:DEPTH]
    ideal = np.sort(of.gains)[::-1][:DEPTH]
    discounts = 1 / np.log2(np.arange(2, DEPTH + 2))
    return float(gains @ discounts[: len(gains)] / (ideal @ discounts[: len(ideal)]))
