"""Adapters: merged at load, refused where they do not fit, and trained by the command."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from django.core.management import call_command
from sentence_transformers import SentenceTransformer

from apps.embeddings.adapters import DEFAULT, Adapter, find_adapter, sha256_of
from apps.postings.models import Posting
from workers.encoding import adapter
from workers.encoding.encoder import Encoder, ModelVersion, location_of
from workers.encoding.errors import ModelLoadError
from workers.encoding.hardware import Hardware, detect
from workers.encoding.unpadded import Unpadded
from workers.training.postings import from_database

MODEL = "all-MiniLM-L6-v2"
VERSION = ModelVersion(MODEL, "main", windows=4, dimensions=384)
EXACT = Hardware("cpu", torch.float32, slots=1, threads=1, batch_tokens=2048)
TEXTS = ["registered nurse in intensive care", "data engineer " * 50, "driver"]
CHANGED = ("encoder.layer.3.attention.self.query.weight", "encoder.layer.4.intermediate.dense.weight")
BIAS = "encoder.layer.3.output.dense.bias"


def base() -> SentenceTransformer:
    """Return the bundled model in float32."""
    return SentenceTransformer(location_of(MODEL), device="cpu", model_kwargs={"dtype": torch.float32})


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> tuple[SentenceTransformer, Adapter]:
    """Return the model with a change of low rank in two matrices and a bias, and its adapter."""
    model = base()
    before = {name: each.clone() for name, each in adapter.parameters_of(model).items()}
    after = adapter.parameters_of(model)
    random = torch.Generator().manual_seed(5)
    for name in CHANGED:
        rows, columns = after[name].shape
        after[name] += (
            0.01 * torch.randn(rows, 8, generator=random) @ torch.randn(8, columns, generator=random)
        )
    after[BIAS] += 0.05
    file = tmp_path_factory.mktemp("adapter") / "adapter.safetensors"
    adapter.write(file, before, after, {"base_name": MODEL})
    return model, Adapter(str(file), sha256_of(file))


def test_an_encoder_with_an_adapter_equals_the_changed_model(
    changed: tuple[SentenceTransformer, Adapter],
) -> None:
    model, file = changed
    encoder = Encoder(replace(VERSION, adapter=file), EXACT)
    assert isinstance(
        encoder._forward_pass, Unpadded
    )  # the same forward pass on the same shapes: as fast as without
    vectors = encoder.encode(TEXTS)
    expected = model.encode(TEXTS, normalize_embeddings=True)
    assert (vectors * expected).sum(axis=1).min() > 0.999  # the factors are rounded to bfloat16
    plain = Encoder(VERSION, EXACT).encode(TEXTS)
    assert (vectors * plain).sum(axis=1).max() < 0.99
    fast = Encoder(replace(VERSION, adapter=file), detect(device="cpu")).encode(TEXTS)
    assert (vectors * fast).sum(axis=1).min() > 0.995
    assert file.path.stat().st_size < adapter.MAX_BYTES


def test_the_factors_of_a_change_of_full_rank_fill_the_file_and_no_more(tmp_path: Path) -> None:
    before = adapter.parameters_of(base())
    random = torch.Generator().manual_seed(5)
    after = {
        name: each + 0.01 * torch.randn(each.shape, generator=random) if "layer" in name else each
        for name, each in before.items()
    }
    file = tmp_path / "adapter.safetensors"
    adapter.write(file, before, after, {"base_name": MODEL})
    assert 0.98 * adapter.MAX_BYTES < file.stat().st_size <= adapter.MAX_BYTES


def test_an_adapter_that_does_not_fit_is_refused_with_the_reason(
    changed: tuple[SentenceTransformer, Adapter], tmp_path: Path
) -> None:
    model, file = changed
    model.save(str(tmp_path / "other"))
    with pytest.raises(ModelLoadError, match=f"trained for other weights, those of {MODEL}"):
        Encoder(replace(VERSION, name=str(tmp_path / "other"), adapter=file), EXACT)
    with pytest.raises(ModelLoadError, match="has changed since the model was registered"):
        Encoder(replace(VERSION, adapter=replace(file, sha256="0" * 64)), EXACT)
    with pytest.raises(ModelLoadError, match=r"cannot read the adapter .*No such file"):
        Encoder(replace(VERSION, adapter=Adapter("/nowhere", "")), EXACT)
    weights = Path(location_of(MODEL)) / "model.safetensors"
    with pytest.raises(ModelLoadError, match=r"model.safetensors is not an adapter"):
        Encoder(replace(VERSION, adapter=Adapter(str(weights), sha256_of(weights))), EXACT)


def test_the_shipped_adapter_is_small_and_brings_names_of_an_occupation_together() -> None:
    shipped = find_adapter(DEFAULT, f"sentence-transformers/{MODEL}")
    assert shipped
    assert shipped.path.stat().st_size <= 4 * 2**20
    names = ["nurse", "RN", "ward sister", "florist"]
    plain, tuned = (Encoder(replace(VERSION, adapter=each), EXACT).encode(names) for each in (None, shipped))

    def gap(vectors: np.ndarray) -> float:
        same, other = vectors[0] @ vectors[1:3].T, vectors[0] @ vectors[3]
        return float(same.min() - other)

    assert gap(tuned) > gap(plain) + 0.05


def write_rows(file: Path, rows: list[dict[str, Any]]) -> Path:
    """Write JSON Lines."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_the_command_trains_continues_and_writes_an_adapter_with_its_card(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [
        {"name": f"{trade} {word}", "preferred": f"{trade} worker", "esco_code": str(number)}
        for number, trade in enumerate(["welding", "nursing", "cooking", "driving", "mining", "teaching"] * 2)
        for word in ("hand", "specialist")
    ]
    options: dict[str, Any] = {
        "occupations": write_rows(tmp_path / "names.jsonl", names),
        "postings": str(
            write_rows(
                tmp_path / "postings.jsonl",
                [
                    {"title": f"Job {number}", "tasks": [f"Do {number}.", f"Mend {number}."]}
                    for number in range(5)
                ],
            )
        ),
        "output": tmp_path / "training",
        "held_out": 0.3,
        "evaluate_every": 2,
        "credit": ["Names made up for this test"],
        "device": "cpu",
    }
    call_command("train_encoder", steps=2, **options)
    file = tmp_path / "training" / "adapter.safetensors"
    first = sha256_of(file)
    call_command("train_encoder", steps=4, **options)
    assert f"Use it with EMBEDDING_ADAPTER={file}" in capsys.readouterr().out
    assert sha256_of(file) != first
    steps = json.loads((tmp_path / "training" / "checkpoint-4" / "trainer_state.json").read_text())[
        "log_history"
    ]
    assert [entry["step"] for entry in steps if "eval_held-out_cosine_map@100" in entry] == [2, 4]
    card = (tmp_path / "training" / "adapter.md").read_text()
    for part in (sha256_of(file), "Names made up for this test", "| postings |", "| 4 | "):
        assert part in card
    Encoder(replace(VERSION, adapter=Adapter(str(file), sha256_of(file))), EXACT)
    with pytest.raises(Exception, match="holds a training with other options"):
        call_command("train_encoder", steps=4, learning_rate=0.5, **options)


@pytest.mark.django_db
def test_postings_of_the_site_are_read_with_their_sentences_as_tasks() -> None:
    Posting.objects.create(
        source="test",
        external_id="1",
        title="Nurse",
        description="# Tasks\n\n- Dress the wounds of patients.\n",
    )
    assert list(from_database()) == [{"title": "Nurse", "tasks": ["Dress the wounds of patients."]}]
