"""Repeatable chance: the same key gives the same draws in every process and on every machine."""

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Draws that depend only on the key of the last `reseed`. One object serves a whole corpus; not thread-safe."""

    # Made of random() alone: its sequence is promised to stay from one Python to the next, that of choice() is not.

    __slots__ = ("_draw", "_source")

    def __init__(self) -> None:
        self._source = random.Random()  # noqa: S311 (a sample, not a secret)
        self._draw = self._source.random

    def reseed(self, key: int) -> None:
        self._source.seed(key)

    def chance(self, probability: float) -> bool:
        return self._draw() < probability

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self._draw()

    def whole(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int(self._draw() * (high - low + 1))

    def pick(self, options: Sequence[T]) -> T:
        return options[int(self._draw() * len(options))]

    def some(self, options: Sequence[T], count: int) -> list[T]:
        """`count` different options, or all of them if there are fewer, in any order."""
        pool = list(options)
        size = len(pool)
        count = min(count, size)
        for position in range(count):
            other = position + int(self._draw() * (size - position))
            pool[position], pool[other] = pool[other], pool[position]
        return pool[:count]
