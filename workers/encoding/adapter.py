"""Adapters: a trained change of a model's weights, as low-rank factors in a safetensors file.

A matrix of the model changes by up × down, whose inner dimension is the rank (Hu et al. 2021, LoRA,
arXiv:2106.09685). The change is added to the weights when the model is loaded, so that encoding costs exactly
what it costs without.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer

from apps.embeddings.adapters import Adapter, sha256_of
from workers.encoding.errors import ModelLoadError

FORMAT = "jobrec-adapter-1"
MAX_BYTES = 4 * 2**20  # of a file
HEADER_BYTES = 32 * 2**10  # upper bound of the names, shapes and metadata of a file
UP, DOWN, CHANGE = ".up", ".down", ".change"  # suffixes after the name of a parameter

Weights = Mapping[str, torch.Tensor]


def merge(model: SentenceTransformer, adapter: Adapter) -> None:
    """Add the change of an adapter to the weights of the model it was trained for.

    The model must be in float32, so that the sum is rounded once, when the model is converted afterwards.
    Raises ModelLoadError if the file is missing or has changed, is no adapter, or one of another model.
    """
    file = adapter.path
    try:
        if sha256_of(file) != adapter.sha256:
            raise ModelLoadError(
                f"the adapter {file} has changed since the model was registered. Restore the file, or "
                "register the new one with `manage.py models add`."
            )
        with safe_open(file, "pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  not a dict
    except (OSError, SafetensorError) as error:
        raise ModelLoadError(f"cannot read the adapter {file}: {error}") from error
    if metadata.get("format") != FORMAT:
        raise ModelLoadError(f"{file} is not an adapter. Train one with `manage.py train_encoder`.")
    weights = parameters_of(model)
    names = sorted({name.rpartition(".")[0] for name in tensors})
    if not set(names) <= set(weights) or metadata["base"] != fingerprint(weights, names):
        raise ModelLoadError(
            f"the adapter {file} was trained for other weights, those of {metadata['base_name']}. "
            "Set EMBEDDING_ADAPTER to an adapter of this model, or leave it empty."
        )
    for name in names:
        weights[name] += change_of(tensors, name).to(weights[name].device)


def change_of(tensors: Weights, name: str) -> torch.Tensor:
    """Return the change of one parameter, in float32."""
    if f"{name}{CHANGE}" in tensors:
        return tensors[f"{name}{CHANGE}"].float()
    return tensors[f"{name}{UP}"].float() @ tensors[f"{name}{DOWN}"].float()


def write(file: Path, before: Weights, after: Weights, metadata: Mapping[str, str]) -> dict[str, int]:
    """Write the change from `before` to `after`, parameters by name, in at most MAX_BYTES.

    Biases and norms are stored whole. The ranks of the matrices share the rest of the file so that the lost
    part of the change is smallest (Frobenius norm, over all matrices): a singular value is kept if its square
    by the numbers that it costs is among the largest. Returns the rank of each matrix. `metadata` needs
    `base_name`.
    """
    changes = {
        name: (after[name] - before[name]).float().cpu()
        for name in after
        if not after[name].equal(before[name])
    }
    tensors = {
        name + CHANGE: change.to(torch.bfloat16) for name, change in changes.items() if change.dim() == 1
    }
    factors = {
        name: torch.linalg.svd(change, full_matrices=False)
        for name, change in changes.items()
        if change.dim() == 2
    }
    room = (MAX_BYTES - HEADER_BYTES) // 2 - sum(tensor.numel() for tensor in tensors.values())
    ranks = _ranks({name: values for name, (_, values, _) in factors.items()}, changes, room)
    for name, rank in ranks.items():
        left, values, right = factors[name]
        root = values[:rank].sqrt()  # half of the scale in each factor, which bfloat16 rounds alike
        tensors[name + UP] = (left[:, :rank] * root).to(torch.bfloat16).contiguous()
        tensors[name + DOWN] = (right[:rank] * root[:, None]).to(torch.bfloat16).contiguous()
    base = fingerprint(before, sorted({name.rpartition(".")[0] for name in tensors}))
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, file, {**metadata, "format": FORMAT, "base": base})
    return ranks


def _ranks(values: Weights, changes: Weights, room: int) -> dict[str, int]:
    """Return the rank of each matrix, at least 1, so that the factors of all have at most `room` numbers."""
    cost = {name: sum(changes[name].shape) for name in values}
    ranks = dict.fromkeys(values, 1)
    room -= sum(cost.values())
    candidates = sorted(
        (-(float(value) ** 2) / cost[name], name) for name, each in values.items() for value in each[1:]
    )
    for _, name in candidates:  # the values of one matrix fall, so that they come in their order
        if cost[name] > room:
            break
        ranks[name] += 1
        room -= cost[name]
    return ranks


def parameters_of(model: SentenceTransformer) -> dict[str, torch.Tensor]:
    """Return the parameters of the network by name; a change of one changes the network."""
    network: Any = model[0].auto_model
    return {name: each.detach() for name, each in network.named_parameters()}


def fingerprint(weights: Weights, names: list[str]) -> str:
    """Return the SHA-256 of the named parameters, in hexadecimal: what an adapter's change is relative to."""
    digest = hashlib.sha256()
    for name in names:
        digest.update(f"{name} {tuple(weights[name].shape)}".encode())
        digest.update(weights[name].detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
