"""Bisection: which texts are found, and how many calls of the encoder that costs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.encoding.batches import plan_batches
from workers.encoding.errors import EncoderBrokenError, TransientEncoderError
from workers.encoding.isolation import encode_isolating

DIMENSIONS = 3


class Encoder:
    """Raises for each text in `raises`, yields NaN for each text in `nan`, and counts its calls."""

    def __init__(self, raises=(), nan=()) -> None:
        self.raises, self.nan, self.calls = set(raises), set(nan), 0

    def __call__(self, texts):
        self.calls += 1
        if self.raises & set(texts):
            raise ValueError("cannot encode")
        return np.array([[np.nan] * 3 if text in self.nan else [len(text), 1.0, 0.0] for text in texts])


@pytest.mark.parametrize("where", [0, 1, 255, 256, 300, 511])
def test_bisection_of_512_texts_with_a_bad_one_makes_at_most_ten_further_calls(where: int) -> None:
    texts = [f"text {number}" for number in range(512)]
    encoder = Encoder(raises={texts[where]})
    vectors, bad = encode_isolating(encoder, texts)
    assert [each.index for each in bad] == [where]
    assert sorted(vectors) == [number for number in range(512) if number != where]
    assert encoder.calls - 1 <= 10


@given(count=st.integers(1, 60), data=st.data())
def test_bisection_with_any_mix_of_bad_texts_finds_them_and_encodes_all_others(count: int, data) -> None:
    texts = [f"text {number}" for number in range(count)]
    raising = data.draw(st.sets(st.sampled_from(texts), max_size=5))
    nan = data.draw(st.sets(st.sampled_from(texts), max_size=3)) - raising
    encoder = Encoder(raises=raising, nan=nan)
    vectors, bad = encode_isolating(encoder, texts)
    assert {texts[each.index] for each in bad} == raising | nan
    assert {texts[index] for index in vectors} == set(texts) - raising - nan
    assert all(np.isfinite(vector).all() for vector in vectors.values())
    word = not vectors  # a plain word is tried if no text passes
    assert encoder.calls <= 1 + word + len(raising) * (math.ceil(math.log2(count)) + 2 if count > 1 else 1)


@pytest.mark.parametrize("where", [0, 1, 170, 255, 256, 300, 511])
def test_a_suspect_chunk_costs_no_more_and_a_text_is_blamed_only_after_it_failed_alone(where: int) -> None:
    texts = [f"text {number}" for number in range(512)]
    alone: list[str] = []
    encoder = Encoder(raises={texts[where]})

    def encode(some):
        alone.extend(some if len(some) == 1 else [])
        return encoder(some)

    vectors, bad = encode_isolating(encode, texts, suspect=True)
    assert [each.index for each in bad] == [where]
    assert len(vectors) == 511
    assert texts[where] in alone
    assert encoder.calls - 1 <= 10  # the first call stands for the whole


def test_a_suspect_chunk_without_bad_texts_is_encoded_completely() -> None:
    texts = [f"text {number}" for number in range(100)]
    encoder = Encoder()
    vectors, bad = encode_isolating(encoder, texts, suspect=True)
    assert (len(vectors), bad) == (100, [])


def test_an_encoder_that_fails_on_a_plain_word_too_is_reported_broken_and_no_text_is_blamed() -> None:
    def encode(texts):
        raise RuntimeError("CUDA error: device-side assert triggered")

    with pytest.raises(EncoderBrokenError, match="cannot encode even a plain word: RuntimeError: CUDA"):
        encode_isolating(encode, ["a", "b", "c"])

    def nonsense(texts):
        return np.full((len(texts), DIMENSIONS), np.nan)

    with pytest.raises(EncoderBrokenError, match="not finite"):
        encode_isolating(nonsense, ["a", "b", "c"])


def test_the_error_and_the_traceback_of_a_bad_text_do_not_quote_it() -> None:
    def encode(texts):
        if "secret" in texts[0]:
            raise ValueError(f"bad text: {texts[0]}")
        return np.ones((len(texts), DIMENSIONS))

    _, [bad] = encode_isolating(encode, ["my secret résumé"])
    assert bad.error == "ValueError: bad text: …"
    assert "secret" not in bad.traceback
    assert "encode" in bad.traceback


def test_a_transient_error_of_the_encoder_is_raised_and_no_text_is_blamed() -> None:
    def encode(texts):
        raise TransientEncoderError("no memory")

    with pytest.raises(TransientEncoderError):
        encode_isolating(encode, ["a", "b"])


@given(lengths=st.lists(st.integers(1, 300), max_size=80), limit=st.integers(1, 2000))
def test_planned_batches_hold_each_text_once_within_the_token_limit(lengths: list[int], limit: int) -> None:
    batches = plan_batches(lengths, max_tokens=limit)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or max(lengths[index] for index in batch) * len(batch) <= limit
    longest = [max(lengths[index] for index in batch) for batch in batches]
    assert longest == sorted(longest, reverse=True)
