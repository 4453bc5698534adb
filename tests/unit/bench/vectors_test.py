"""Made-up vectors, and recall against an exact search."""

import numpy as np
import pytest

from bench import vectors


def test_recall_counts_a_row_as_near_as_the_last_expected_one() -> None:
    stored = vectors.StoredVectors(
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


def test_vector_of_a_group_is_drawn_when_the_group_has_one_and_any_otherwise() -> None:
    chosen = vectors.of_groups(
        np.eye(3, dtype=np.float32),
        ["nurse", "driver", "nurse"],
        ["driver", "nurse", "pilot"] * 50,
        np.random.default_rng(1),
    )
    which = chosen.argmax(axis=1).reshape(50, 3)
    assert set(which[:, 0]) == {1}
    assert set(which[:, 1]) == {0, 2}
    assert set(which[:, 2]) == {0, 1, 2}


def test_vectors_lie_around_their_centres_in_the_directions_of_the_samples() -> None:
    random = np.random.default_rng(1)
    samples = vectors.normalised(np.eye(8, 64, dtype=np.float32))  # in eight of 64 dimensions
    centres = samples[random.integers(len(samples), size=2_000)]
    made = vectors.around(centres, (0.6, 0.9), random, samples=samples)
    cosines = (made * centres).sum(axis=1)
    assert (cosines.min(), cosines.max()) == pytest.approx((0.6, 0.9), abs=0.01)
    assert np.linalg.norm(made, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert not made[:, 8:].any()
