"""Find the texts that make the encoder fail, at a small cost for the other texts. Pure functions."""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from apps.embeddings.quotes import without_quotes
from workers.encoding.encoder import Vectors
from workers.encoding.errors import EncoderBrokenError, EncoderError

# Every working encoder can encode it.
CANARY = "warm-up"


@dataclass(frozen=True)
class BadText:
    """A text without a vector. `index` is its position in the given texts; `error` does not quote it."""

    index: int
    error: str
    traceback: str


Encode = Callable[[Sequence[str]], Vectors]


def encode_isolating(
    encode: Encode, texts: Sequence[str], *, suspect: bool = False
) -> tuple[dict[int, np.ndarray], list[BadText]]:
    """Return the vectors by index, and the texts that have none, found by bisection.

    One bad text among n costs at most ceil(log2(n)) + 1 further calls. Only the first half of a failing group
    is tried: if it passes, the second half must hold the bad text. The halves that were skipped are tried
    together at the end. Set `suspect` if the texts have already failed as a group: bisection then starts at
    once, and a text is blamed only after it has failed alone.

    Raises EncoderError for faults of the encoder itself, and EncoderBrokenError if no text passes and a plain
    word does not pass either.
    """
    search = _Search(encode, texts, suspect=suspect)
    search.run()
    if search.bad and not search.vectors:
        _check_encoder(encode, search.bad[0])
    return search.vectors, sorted(search.bad, key=lambda each: each.index)


class _Search:
    """A search for bad texts. It fills `vectors` and `bad` as it proceeds."""

    def __init__(self, encode: Encode, texts: Sequence[str], *, suspect: bool) -> None:
        self._encode, self._texts, self._suspect = encode, texts, suspect
        self.vectors: dict[int, np.ndarray] = {}
        self.bad: list[BadText] = []

    def run(self) -> None:
        waiting = list(range(len(self._texts)))
        has_failed_before = self._suspect and len(waiting) > 1
        while waiting:
            group, waiting = waiting, []
            failure: Exception | None
            failure = EncoderBrokenError("failed before") if has_failed_before else self._try(group)
            has_failed_before = False
            if failure is not None:
                waiting = self._bisect(group, failure)

    def _bisect(self, group: list[int], failure: Exception) -> list[int]:
        """Find one bad text in a group that failed. Return the texts that were skipped."""
        skipped: list[int] = []
        tried = len(group) == 1
        while len(group) > 1:
            first, second = group[: len(group) // 2], group[len(group) // 2 :]
            first_failure = self._try(first)
            if first_failure is None:
                group, tried = second, False  # it holds the bad text, so it is not tried as a whole
            else:
                group, failure, tried = first, first_failure, True
                skipped += second
        if self._suspect and not tried:
            alone = self._try(group)
            if alone is None:
                return skipped
            failure = alone
        self._blame(group[0], failure)
        return skipped

    def _try(self, group: list[int]) -> Exception | None:
        """Encode a group into `vectors` and `bad`, or return the exception that the encoder raised."""
        try:
            encoded = self._encode([self._texts[index] for index in group])
        except EncoderError:
            raise
        except Exception as error:  # noqa: BLE001  a text may make a tokenizer or a model raise anything
            return error
        if len(encoded) != len(group):
            return ValueError(f"{len(encoded)} vectors for {len(group)} texts")
        for index, vector in zip(group, encoded, strict=True):
            if np.isfinite(vector).all():
                self.vectors[index] = vector
            else:
                self.bad.append(BadText(index, "the model yields a vector that is not finite", ""))
        return None

    def _blame(self, index: int, failure: Exception) -> None:
        error = without_quotes(_message(failure), of=self._texts[index])
        self.bad.append(BadText(index, error, _frames(failure)))


def _check_encoder(encode: Encode, first: BadText) -> None:
    """Raise EncoderBrokenError if the encoder fails on a plain word, too."""
    try:
        works = bool(np.isfinite(encode([CANARY])).all())
    except EncoderError:
        raise
    except Exception as error:
        raise EncoderBrokenError(f"cannot encode even a plain word: {_message(error)}") from error
    if not works:
        raise EncoderBrokenError(f"the vector of a plain word is not finite either; {first.error}")


def _message(error: Exception) -> str:
    return str(error) if hasattr(error, "remote_traceback") else f"{type(error).__name__}: {error}"


def _frames(error: Exception) -> str:
    """Return the traceback without the exception's message, which may quote the text."""
    remote: str | None = getattr(error, "remote_traceback", None)
    return remote or "".join(traceback.format_tb(error.__traceback__))
