"""The encoder with the real model."""

import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch

from workers.encoding.encoder import Encoder, ModelVersion, location_of
from workers.encoding.errors import ModelLoadError, TransientEncoderError
from workers.encoding.hardware import Hardware, detect, usable_cores
from workers.encoding.unpadded import Unpadded

VERSION = ModelVersion("all-MiniLM-L6-v2", "main", windows=4, dimensions=384)
EXACT = Hardware("cpu", torch.float32, slots=1, threads=1, batch_tokens=2048)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(VERSION, EXACT)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_vectors_have_length_one_and_do_not_depend_on_their_neighbours(encoder: Encoder) -> None:
    texts = ["nurse", "a much longer text about databases " * 9, "", "nurse"]
    vectors = encoder.encode(texts)
    assert vectors.shape == (4, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors[0], vectors[3], atol=1e-5)
    np.testing.assert_allclose(vectors[1], encoder.encode([texts[1]])[0], atol=1e-4)
    assert encoder.encode([]).shape == (0, 384)


def test_texts_without_padding_have_the_vectors_that_each_has_alone(encoder: Encoder) -> None:
    texts = [
        "nurse",
        "senior nurse in the emergency room of a large hospital",
        "driver",
        "cook",
        "data engineer",
    ]
    assert isinstance(encoder._forward_pass, Unpadded)
    together = encoder.encode(texts)
    np.testing.assert_allclose(together, [encoder.encode([text])[0] for text in texts], atol=1e-5)
    with patch.object(encoder, "_forward_pass", encoder._padded):  # the library's own
        np.testing.assert_allclose(together, encoder.encode(texts), atol=1e-5)


def test_a_text_without_a_finite_vector_leaves_its_neighbours_theirs(encoder: Encoder) -> None:
    texts = ["nurse", "driver", "cook in a school"]
    before = encoder.encode(texts)
    network: Any = encoder._model[0].auto_model
    words = network.embeddings.word_embeddings.weight.data
    driver = encoder._tokenizer.convert_tokens_to_ids("driver")
    kept = words[driver].clone()
    words[driver] = torch.nan
    try:
        spoilt = encoder.encode(texts)
    finally:
        words[driver] = kept
    assert not np.isfinite(spoilt[1]).any()
    np.testing.assert_allclose(spoilt[[0, 2]], before[[0, 2]], atol=1e-5)


def test_a_model_that_computes_otherwise_is_left_to_the_library(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = encoder._model
    network: Any = model[0].auto_model
    assert Unpadded.where_it_agrees(model, encoder._padded)
    with monkeypatch.context() as patched:  # positions that begin elsewhere
        positions = network.embeddings.position_embeddings.weight
        patched.setattr(positions, "data", positions.data.roll(2, 0))
        unpadded = Unpadded(model)
    monkeypatch.setattr(Unpadded, "__init__", lambda self, _: self.__dict__.update(vars(unpadded)))
    assert Unpadded.where_it_agrees(model, encoder._padded) is None
    monkeypatch.undo()
    monkeypatch.setattr(network.config, "model_type", "another")
    assert Unpadded.where_it_agrees(model, encoder._padded) is None


def test_meaning_is_near(encoder: Encoder) -> None:
    nurse, carer, welder = encoder.encode(["intensive care nurse", "ICU nursing", "welding steel"])
    assert cosine(nurse, carer) > cosine(nurse, welder) + 0.2


def test_what_stands_at_the_end_of_a_long_text_counts(encoder: Encoder) -> None:
    start = "I kept the books of a small company. " * 60
    ends = [
        start + "I am a certified deep-sea diver. " * 30,
        start + "I kept the books of a small company. " * 30,
    ]
    diver = encoder.encode(["deep-sea diver"])[0]
    pooled = encoder.encode(ends)
    assert cosine(pooled[0], diver) > cosine(pooled[1], diver) + 0.1
    truncating = Encoder(replace(VERSION, windows=1), EXACT).encode(ends)
    np.testing.assert_allclose(truncating[0], truncating[1], atol=1e-5)


def test_the_processor_s_own_precision_is_near_the_exact_one(encoder: Encoder) -> None:
    texts = ["nurse in intensive care", "data engineer " * 50, "driver"]
    fast = Encoder(VERSION, detect(device="cpu")).encode(texts)
    assert all(cosine(*pair) > 0.995 for pair in zip(fast, encoder.encode(texts), strict=True))


def test_encoding_starts_no_more_threads_than_there_are_cores() -> None:
    hardware = detect(device="cpu")
    assert hardware.slots * hardware.threads <= usable_cores()
    encoder = Encoder(VERSION, hardware)
    tasks = Path("/proc/self/task")
    before = {each.name for each in tasks.iterdir()}
    own = [
        threading.Thread(target=encoder.encode, args=(["word " * 200] * 40,)) for _ in range(hardware.slots)
    ]
    for thread in own:
        thread.start()
    seen: set[str] = set()
    while any(thread.is_alive() for thread in own):
        seen |= {each.name for each in tasks.iterdir()} - before
        time.sleep(0.02)
    # Each of the threads that call may have helpers, but all together not more than cores.
    assert hardware.slots <= len(seen) <= usable_cores()


def test_a_batch_that_does_not_fit_is_halved(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Encoder._forward
    sizes: list[int] = []

    def forward(self, windows):
        sizes.append(len(windows))
        if len(windows) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, windows)

    expected = encoder.encode(["a", "b", "c", "d", "e"])
    monkeypatch.setattr(Encoder, "_forward", forward)
    np.testing.assert_allclose(encoder.encode(["a", "b", "c", "d", "e"]), expected, atol=1e-5)
    assert sizes == [5, 2, 3, 1, 2]
    monkeypatch.setattr(Encoder, "_forward", lambda *_: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(TransientEncoderError):
        encoder.encode(["a"])


def test_a_local_folder_is_a_model_too() -> None:
    folder = Encoder(replace(VERSION, name=location_of("all-MiniLM-L6-v2")), EXACT)
    assert folder.encode(["x"]).shape == (1, 384)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "/no/such/folder"}, "cannot load '/no/such/folder'"),
        ({"dimensions": 768}, "yields 384 dimensions, but is registered with 768"),
    ],
)
def test_a_model_that_cannot_serve_says_why(changes, message: str) -> None:
    with pytest.raises(ModelLoadError, match=message):
        Encoder(replace(VERSION, **changes), EXACT)


def test_a_broken_file_is_a_model_that_cannot_be_loaded(tmp_path: Path) -> None:
    """A download that broke off must not cost rows: their run pauses, as with every model that cannot be loaded."""
    whole = Path(location_of("all-MiniLM-L6-v2"))
    shutil.copytree(whole, tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])
    with pytest.raises(ModelLoadError, match=r"cannot load '.*model'"):
        Encoder(replace(VERSION, name=str(tmp_path / "model")), EXACT)
    with pytest.raises(ModelLoadError, match="the name is empty"):
        Encoder(replace(VERSION, name=""), EXACT)
