"""Vectors around others, and recall against an exact search."""

import numpy as np
import pytest

from bench import vectors


def test_recall_counts_rows_as_near_as_the_last_that_is_due() -> None:
    stored = vectors.Stored(
        np.array([3, 5, 8, 9]), np.array([[1, 0], [0.8, 0.6], [0.8, 0.6], [0, 1]], np.float32)
    )
    [cosines] = stored.cosines(np.array([[1, 0]], np.float32))
    everywhere = np.arange(4)

    def recall(found: list[int], positions: vectors.Positions = everywhere, k: int = 2) -> float:
        return vectors.recall(found, stored, cosines, positions, k=k)

    assert recall([3, 5]) == recall([3, 8]) == 1.0  # 5 and 8 have the same vector
    assert recall([3, 9]) == recall([3]) == 0.5
    assert recall([9, 3, 5]) == 0.5  # the first two count
    assert recall([8, 9], np.array([2, 3]), 10) == 1.0  # only two are allowed
    assert recall([], np.array([], np.int64)) == 1.0


def test_vectors_lie_around_a_centre_of_their_group_at_the_cosines_asked_for() -> None:
    centres = vectors.Centres(np.eye(3, 64, dtype=np.float32), ["nurse", "driver", "nurse"], (0.6, 0.9))
    random = np.random.default_rng(1)
    chosen = centres.of(["driver", "nurse", "pilot"] * 50, random)
    made = vectors.around(chosen, centres.cosines, random, apart=None)
    which = chosen.argmax(axis=1).reshape(50, 3)
    assert set(which[:, 0]) == {1}
    assert set(which[:, 1]) == {0, 2}
    assert set(which[:, 2]) == {0, 1, 2}  # no centre is of its group
    cosines = (made * chosen).sum(axis=1)
    assert (cosines.min(), cosines.max()) == pytest.approx((0.6, 0.9), abs=0.01)
    assert np.linalg.norm(made, axis=1) == pytest.approx(1.0, abs=1e-5)


def test_vectors_are_turned_only_as_those_of_a_model_differ() -> None:
    random = np.random.default_rng(1)
    apart = vectors.normalised(np.eye(8, 64, dtype=np.float32) + 1)  # in eight of 64 dimensions, and one more
    centres = apart[random.integers(len(apart), size=2_000)]
    made = vectors.around(centres, (0.6, 0.9), random, apart=apart)
    cosines = (made * centres).sum(axis=1)
    assert (cosines.min(), cosines.max()) == pytest.approx((0.6, 0.9), abs=0.01)
    assert vectors.directions(made) < 9
    assert vectors.directions(vectors.around(centres, (0.6, 0.9), random, apart=None)) > 30
