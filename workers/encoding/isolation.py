"""Finding the texts that make the encoder fail, at a small cost for the others. Pure."""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np

from workers.encoding.encoder import Vectors
from workers.encoding.errors import EncoderBrokenError, EncoderError

# What every encoder can encode.
CANARY = "warm-up"
# Characters in common with the text from which on an error message quotes it.
QUOTE = 16


@dataclass(frozen=True)
class BadText:
    """A text without a vector. `index` is its place among the texts given; `error` does not quote it."""

    index: int
    error: str
    traceback: str


Encode = Callable[[Sequence[str]], Vectors]


def encode_isolating(
    encode: Encode, texts: Sequence[str], *, suspect: bool = False
) -> tuple[dict[int, np.ndarray], list[BadText]]:
    """Vectors by index, and the texts that have none.

    One bad text among n costs at most ceil(log2(n)) + 1 further calls: of a failing group only the first half is
    tried, for when that one passes the second half is known to hold the bad text; the halves passed over are
    tried together at the end. With `suspect` the texts are known to have failed as a whole: they are halved at once, and a
    text is blamed only when it has failed alone.

    EncoderErrors are about the encoder, not about a text: they are raised. So is an EncoderBrokenError where no text
    at all passes and a plain word does not either: then no text is to blame.
    """
    search = _Search(encode, texts, suspect=suspect)
    search.run()
    if search.bad and not search.vectors:
        _check(encode, search.bad[0])
    return search.vectors, sorted(search.bad, key=lambda each: each.index)


class _Search:
    """One search for bad texts; `vectors` and `bad` fill as it goes."""

    def __init__(self, encode: Encode, texts: Sequence[str], *, suspect: bool) -> None:
        self._encode, self._texts, self._suspect = encode, texts, suspect
        self.vectors: dict[int, np.ndarray] = {}
        self.bad: list[BadText] = []

    def run(self) -> None:
        waiting = list(range(len(self._texts)))
        first_time = True
        while waiting:
            group, waiting = waiting, []
            if first_time and self._suspect and len(group) > 1:
                failure: Exception | None = EncoderBrokenError("failed before")
            else:
                failure = self._try(group)
            first_time = False
            if failure is not None:
                waiting = self._narrow(group, failure)

    def _narrow(self, group: list[int], failure: Exception) -> list[int]:
        """Finds one bad text in `group`; returns the texts that were passed over on the way."""
        passed_over: list[int] = []
        tried = len(group) == 1
        while len(group) > 1:
            first, second = group[: len(group) // 2], group[len(group) // 2 :]
            first_failure = self._try(first)
            if first_failure is None:
                group, tried = second, False  # holds the bad text: not tried again as a whole
            else:
                group, failure, tried = first, first_failure, True
                passed_over += second
        if self._suspect and not tried:
            alone = self._try(group)
            if alone is None:
                return passed_over
            failure = alone
        self._blame(group[0], failure)
        return passed_over

    def _try(self, group: list[int]) -> Exception | None:
        """Encodes `group` into `vectors` and `bad`; returns what the encoder raised instead."""
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
        error = without_quotes(_words(failure), of=self._texts[index])
        self.bad.append(BadText(index, error, _frames(failure)))


def without_quotes(message: str, *, of: str) -> str:
    """`message` with every longer stretch of the text `of` left out: it may be somebody's résumé."""
    message = message[:1_000]
    while True:
        match = SequenceMatcher(None, message, of, autojunk=False).find_longest_match()
        if match.size < min(QUOTE, max(len(of), 1)):
            return message
        message = f"{message[: match.a]}…{message[match.a + match.size :]}"


def _check(encode: Encode, first: BadText) -> None:
    """Raises EncoderBrokenError where the encoder fails on a plain word, too."""
    try:
        works = bool(np.isfinite(encode([CANARY])).all())
    except EncoderError:
        raise
    except Exception as error:
        raise EncoderBrokenError(f"not even a plain word can be encoded: {_words(error)}") from error
    if not works:
        raise EncoderBrokenError(f"the vector of a plain word is not finite either; {first.error}")


def _words(error: Exception) -> str:
    return str(error) if hasattr(error, "remote_traceback") else f"{type(error).__name__}: {error}"


def _frames(error: Exception) -> str:
    """The traceback without the exception's own text, which may quote the text."""
    remote: str | None = getattr(error, "remote_traceback", None)
    return remote or "".join(traceback.format_tb(error.__traceback__))
