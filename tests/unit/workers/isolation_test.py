import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.encoding.batches import plan_batches
from workers.encoding.errors import TransientEncoderError
from workers.encoding.isolation import encode_isolating

DIMENSIONS = 3


class Encoder:
    """Fails on every text in `poison`, yields a NaN for those in `nan`, and counts its calls."""

    def __init__(self, poison=(), nan=()) -> None:
        self.poison, self.nan, self.calls = set(poison), set(nan), 0

    def __call__(self, texts):
        self.calls += 1
        if self.poison & set(texts):
            raise ValueError("cannot encode")
        return np.array([[np.nan] * 3 if text in self.nan else [len(text), 1.0, 0.0] for text in texts])


@pytest.mark.parametrize("where", [0, 1, 255, 256, 300, 511])
def test_one_bad_text_among_512_costs_at_most_ten_further_calls(where: int) -> None:
    texts = [f"text {number}" for number in range(512)]
    encoder = Encoder(poison={texts[where]})
    vectors, bad = encode_isolating(encoder, texts)
    assert [each.index for each in bad] == [where]
    assert sorted(vectors) == [number for number in range(512) if number != where]
    assert encoder.calls - 1 <= 10


@given(count=st.integers(1, 60), data=st.data())
def test_exactly_the_bad_texts_are_found_and_all_others_encoded(count: int, data) -> None:
    texts = [f"text {number}" for number in range(count)]
    poison = data.draw(st.sets(st.sampled_from(texts), max_size=5))
    nan = data.draw(st.sets(st.sampled_from(texts), max_size=3)) - poison
    encoder = Encoder(poison=poison, nan=nan)
    vectors, bad = encode_isolating(encoder, texts)
    assert {texts[each.index] for each in bad} == poison | nan
    assert {texts[index] for index in vectors} == set(texts) - poison - nan
    assert all(np.isfinite(vector).all() for vector in vectors.values())
    assert encoder.calls <= 1 + len(poison) * (math.ceil(math.log2(count)) + 2 if count > 1 else 1)


def test_the_traceback_of_a_bad_text_does_not_quote_it() -> None:
    def encode(texts):
        raise ValueError(f"bad text: {texts[0]}")

    _, [bad] = encode_isolating(encode, ["my secret résumé"])
    assert "secret" not in bad.traceback
    assert "encode" in bad.traceback


def test_what_is_wrong_with_the_encoder_is_not_blamed_on_a_text() -> None:
    def encode(texts):
        raise TransientEncoderError("no memory")

    with pytest.raises(TransientEncoderError):
        encode_isolating(encode, ["a", "b"])


@given(lengths=st.lists(st.integers(1, 300), max_size=80), limit=st.integers(1, 2000))
def test_batches_hold_every_text_once_within_the_token_limit(lengths: list[int], limit: int) -> None:
    batches = plan_batches(lengths, max_tokens=limit)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or max(lengths[index] for index in batch) * len(batch) <= limit
    longest = [max(lengths[index] for index in batch) for batch in batches]
    assert longest == sorted(longest, reverse=True)
