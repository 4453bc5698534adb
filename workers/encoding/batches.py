"""Batches of about equal length, bounded by tokens. Pure."""

from collections.abc import Sequence


def plan_batches(lengths: Sequence[int], *, max_tokens: int) -> list[list[int]]:
    """Indexes of `lengths` in batches, the longest texts first.

    A batch's size is what the model computes, its longest text times its number of texts: at most `max_tokens`,
    a single longer text excepted. Sorting by length keeps padding small; the longest first makes a batch that does
    not fit into memory fail at once.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        # Sorted downwards: the first text of a batch is its longest.
        if batches and lengths[batches[-1][0]] * (len(batches[-1]) + 1) <= max_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
