"""The sentences that carry a match, with the real model."""

import numpy as np
import pytest
import torch

from apps.recommendations.sentences import nearest_sentences, sentences_of
from workers.encoding.encoder import Encoder, ModelVersion
from workers.encoding.errors import ModelLoadError
from workers.encoding.hardware import Hardware

POSTINGS = {
    1: """The shop opens at seven and closes at noon. You repair the diesel engines of large fishing boats.
We are five people in a small harbour town. Lunch is free on working days.""",
    2: """Our office lies next to the station. You keep the accounts of forty small companies and file their
taxes. A bicycle is provided. Holidays are six weeks a year.""",
    3: """The ward has twenty beds. Parking is free for all staff. You care for patients after operations on
the heart. The canteen is open on Sundays.""",
}
PROFILES = {
    1: "I grew up near the coast. For nine years I have serviced marine diesel motors. I like to sing.",
    2: "I read a lot. I did bookkeeping and tax returns for shops and craftsmen. My dog is called Max.",
    3: "I moved here in spring. I was a nurse in cardiac surgery for a long time. I cook well.",
}


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    """The default model in float32."""
    try:
        return Encoder(
            ModelVersion("all-MiniLM-L6-v2", "main", windows=4, dimensions=384),
            Hardware("cpu", torch.float32, slots=1, threads=1, batch_tokens=2048),
        )
    except ModelLoadError as error:
        pytest.skip(str(error))


def test_masking_the_carrying_sentence_lowers_the_vector_score_more_than_another(encoder: Encoder) -> None:
    def score(sentences: list[str], profile: str) -> float:
        one, other = encoder.encode([" ".join(sentences), profile])
        return float(one @ other)

    for key, profile in PROFILES.items():
        sentences = sentences_of(POSTINGS[key])
        pair = nearest_sentences({key: sentences}, sentences_of(profile), encoder.encode)[key]
        whole = score(sentences, profile)
        drops = [
            whole - score(sentences[:place] + sentences[place + 1 :], profile)
            for place in range(len(sentences))
        ]
        carrying = drops.pop(pair.row)
        assert carrying > max(0.0, float(np.mean(drops)))  # a random sentence
