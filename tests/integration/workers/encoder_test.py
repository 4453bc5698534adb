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
    """Return an encoder in float32 with one thread."""
    return Encoder(VERSION, EXACT)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Return the cosine of two vectors."""
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_vectors_of_any_batch_have_length_one_and_do_not_depend_on_its_other_texts(encoder: Encoder) -> None:
    texts = ["nurse", "a much longer text about databases " * 9, "", "nurse"]
    vectors = encoder.encode(texts)
    assert vectors.shape == (4, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors[0], vectors[3], atol=1e-5)
    np.testing.assert_allclose(vectors[1], encoder.encode([texts[1]])[0], atol=1e-4)
    assert encoder.encode([]).shape == (0, 384)


def test_unpadded_vectors_equal_those_of_single_texts_and_of_the_library(encoder: Encoder) -> None:
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
    with patch.object(encoder, "_forward_pass", encoder._padded):
        np.testing.assert_allclose(together, encoder.encode(texts), atol=1e-5)


def test_a_text_whose_vector_is_not_finite_leaves_the_others_of_its_batch_unchanged(encoder: Encoder) -> None:
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


def test_a_model_with_other_positions_or_another_type_is_padded_with_one_warning(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = encoder._model
    network: Any = model[0].auto_model
    assert Unpadded.if_applicable(model, encoder._padded)
    assert not caplog.records
    with monkeypatch.context() as patched:  # positions that do not begin at 0
        positions = network.embeddings.position_embeddings.weight
        patched.setattr(positions, "data", positions.data.roll(2, 0))
        unpadded = Unpadded(model)
    monkeypatch.setattr(Unpadded, "__init__", lambda self, _: self.__dict__.update(vars(unpadded)))
    assert Unpadded.if_applicable(model, encoder._padded) is None
    monkeypatch.undo()
    monkeypatch.setattr(network.config, "model_type", "another")
    assert Unpadded.if_applicable(model, encoder._padded) is None
    vectors_differ, other_type = (record.getMessage() for record in caplog.records)
    assert "its vectors differ" in vectors_differ
    assert "not for another on cpu" in other_type


def test_vectors_of_similar_texts_are_near(encoder: Encoder) -> None:
    nurse, carer, welder = encoder.encode(["intensive care nurse", "ICU nursing", "welding steel"])
    assert cosine(nurse, carer) > cosine(nurse, welder) + 0.2


def test_the_end_of_a_long_text_counts_if_there_are_several_windows(encoder: Encoder) -> None:
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


def test_vectors_in_the_number_format_of_the_processor_are_near_those_in_float32(encoder: Encoder) -> None:
    texts = ["nurse in intensive care", "data engineer " * 50, "driver"]
    fast = Encoder(VERSION, detect(device="cpu")).encode(texts)
    assert all(cosine(*pair) > 0.995 for pair in zip(fast, encoder.encode(texts), strict=True))


def test_encoding_in_all_slots_starts_no_more_threads_than_there_are_cores() -> None:
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


def test_a_batch_that_does_not_fit_into_memory_is_split_in_halves(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_a_model_in_a_local_folder_is_loaded() -> None:
    folder = Encoder(replace(VERSION, name=location_of("all-MiniLM-L6-v2")), EXACT)
    assert folder.encode(["x"]).shape == (1, 384)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "/no/such/folder"}, "cannot load '/no/such/folder'"),
        ({"dimensions": 768}, "yields 384 dimensions, but is registered with 768"),
    ],
)
def test_a_model_that_cannot_be_used_is_refused_with_the_reason(changes, message: str) -> None:
    with pytest.raises(ModelLoadError, match=message):
        Encoder(replace(VERSION, **changes), EXACT)


def test_a_model_with_a_truncated_file_is_refused_as_not_loadable(tmp_path: Path) -> None:
    """A truncated download must not cost rows: a ModelLoadError pauses their run."""
    whole = Path(location_of("all-MiniLM-L6-v2"))
    shutil.copytree(whole, tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])
    with pytest.raises(ModelLoadError, match=r"cannot load '.*model'"):
        Encoder(replace(VERSION, name=str(tmp_path / "model")), EXACT)
    with pytest.raises(ModelLoadError, match="the name is empty"):
        Encoder(replace(VERSION, name=""), EXACT)
