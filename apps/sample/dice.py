"""Repeatable random draws: the same key gives the same draws in every process and on every machine."""

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Draws that depend only on `key`. Not thread-safe."""

    # Uses random() alone: Python promises that its sequence stays the same between versions, but not that of
    # choice().

    __slots__ = ("_draw",)

    def __init__(self, key: int) -> None:
        self._draw = random.Random(key).random  # noqa: S311  a sample, not a secret

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return self._draw() < probability

    def between(self, low: float, high: float) -> float:
        """Return a number from `low` up to `high`."""
        return low + (high - low) * self._draw()

    def whole(self, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`, both included."""
        return low + int(self._draw() * (high - low + 1))

    def pick(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[int(self._draw() * len(options))]

    def some(self, options: Sequence[T], count: int) -> list[T]:
        """Return `count` different options in random order, or all of them if there are fewer."""
        pool = list(options)
        for position in range(min(count, len(pool))):
            other = self.whole(position, len(pool) - 1)
            pool[position], pool[other] = pool[other], pool[position]
        return pool[:count]
