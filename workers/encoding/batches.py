"""Batches of texts of similar length, bounded by tokens. Pure functions."""

from collections.abc import Sequence


def plan_batches(lengths: Sequence[int], *, max_tokens: int) -> list[list[int]]:
    """Return the indexes of `lengths` (tokens of each text) in batches, longest texts first.

    A batch counts as its number of texts times its longest text, which is what a padded model computes. It
    holds at most `max_tokens`, or a single longer text. Sorting by length keeps padding small. The longest
    texts come first, so that a batch that does not fit into memory fails at once.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        # The first text of a batch is its longest, since lengths only fall.
        if batches and lengths[batches[-1][0]] * (len(batches[-1]) + 1) <= max_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
