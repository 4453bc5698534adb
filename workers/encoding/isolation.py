"""Finding the texts that make the encoder fail, at a small cost for the others. Pure."""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from workers.encoding.encoder import Vectors
from workers.encoding.errors import EncoderError


@dataclass(frozen=True)
class BadText:
    """A text without a vector. `index` is its place among the texts given."""

    index: int
    error: str
    traceback: str


Encode = Callable[[Sequence[str]], Vectors]


def encode_isolating(encode: Encode, texts: Sequence[str]) -> tuple[dict[int, np.ndarray], list[BadText]]:
    """Vectors by index, and the texts that have none.

    One bad text among n costs at most ceil(log2(n)) + 1 further calls: of a failing group only the first half is
    tried, for when that one passes the second half is known to hold the bad text; the halves passed over are
    tried together at the end. EncoderErrors are about the encoder, not about a text: they are raised.
    """
    vectors: dict[int, np.ndarray] = {}
    bad: list[BadText] = []
    waiting = list(range(len(texts)))
    while waiting:
        group, waiting = waiting, []
        failure = _try(encode, texts, group, vectors, bad)
        while failure is not None:
            if len(group) == 1:
                bad.append(BadText(group[0], f"{type(failure).__name__}: {failure}", _lines(failure)))
                break
            first, second = group[: len(group) // 2], group[len(group) // 2 :]
            first_failure = _try(encode, texts, first, vectors, bad)
            if first_failure is None:
                group = second  # holds the bad text: not tried again as a whole
            else:
                group, failure = first, first_failure
                waiting += second
    return vectors, sorted(bad, key=lambda each: each.index)


def _try(
    encode: Encode,
    texts: Sequence[str],
    group: list[int],
    vectors: dict[int, np.ndarray],
    bad: list[BadText],
) -> Exception | None:
    """Encodes `group` into `vectors` and `bad`; returns what the encoder raised instead."""
    try:
        encoded = encode([texts[index] for index in group])
    except EncoderError:
        raise
    except Exception as error:  # noqa: BLE001  a text may make a tokenizer or a model raise anything
        return error
    for index, vector in zip(group, encoded, strict=True):
        if np.isfinite(vector).all():
            vectors[index] = vector
        else:
            bad.append(BadText(index, "the model yields a vector that is not finite", ""))
    return None


def _lines(error: Exception) -> str:
    """The traceback without the exception's own text, which may quote somebody's résumé."""
    return "".join(traceback.format_tb(error.__traceback__))
