"""The batches of a training, planned before it begins. Pure functions.

The plan depends only on the sources, the number of steps and the seed, so that a training that was
interrupted continues with the batch at which it stopped.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from workers.training.pairs import Pair

# A batch stays smaller if so many pairs, as a multiple of its size, did not fit into it.
PATIENCE = 20


@dataclass(frozen=True)
class Source:
    """A kind of pairs: `size` pairs in a batch, up to `max_tokens` of each text, `weight` of all batches."""

    name: str
    size: int
    max_tokens: int
    weight: int
    pairs: Callable[[Random], Iterator[Pair]]


@dataclass(frozen=True)
class Batch:
    """Pairs of different groups, from one source."""

    source: Source
    pairs: list[Pair]


def plan(sources: Sequence[Source], *, steps: int, seed: int) -> list[Batch]:
    """Return one batch for each step, with the sources taking turns by their weights.

    Raises ValueError if a source has fewer than two groups.
    """
    turns = schedule([source.weight for source in sources], steps)
    supplies = [
        distinct_batches(source.pairs(Random(f"{seed} {source.name}")), source.size)  # noqa: S311  repeatable
        for source in sources
    ]
    batches = []
    for turn in turns:
        pairs = next(supplies[turn], [])
        if len(pairs) < 2:
            raise ValueError(
                f"The {sources[turn].name} have fewer than two groups, so that no batch can be made. "
                "Give a file with more of them, or leave it out."
            )
        batches.append(Batch(sources[turn], pairs))
    return batches


def schedule(weights: Sequence[int], steps: int) -> list[int]:
    """Return the index of the source of each step. Sources take turns as evenly as their weights allow."""
    taken = [0] * len(weights)
    turns = []
    for _ in range(steps):
        turn = min(range(len(weights)), key=lambda index: (taken[index] + 1) / weights[index])
        taken[turn] += 1
        turns.append(turn)
    return turns


def distinct_batches(pairs: Iterator[Pair], size: int) -> Iterator[list[Pair]]:
    """Cut pairs into batches in which no group and no text comes twice.

    A pair that does not fit into a batch waits for a later one. A batch is smaller than `size` if there are
    too few groups.
    """
    waiting: deque[Pair] = deque()
    while True:
        batch: list[Pair] = []
        later: list[Pair] = []
        used: set[str] = set()
        while len(batch) < size and len(later) < PATIENCE * size:
            pair = waiting.popleft() if waiting else next(pairs, None)
            if pair is None:
                break
            keys = {f"group {pair.group}", pair.anchor.casefold(), pair.positive.casefold()}
            if used.isdisjoint(keys):
                used |= keys
                batch.append(pair)
            else:
                later.append(pair)
        waiting.extendleft(reversed(later))
        if not batch:
            return
        yield batch
