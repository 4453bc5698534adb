"""What a training yields: the adapter and its model card."""

import subprocess
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from apps.embeddings.adapters import sha256_of
from workers.encoding import adapter
from workers.encoding.encoder import location_of
from workers.training.batches import Batch
from workers.training.trainer import DROPOUT, WARM_UP_STEPS, WEIGHT_DECAY, Recipe

FILE, CARD = "adapter.safetensors", "adapter.md"
HELD_OUT = {  # figures of the trainer's log, by the column of the card
    "MRR@10": "eval_held-out_cosine_mrr@10",
    "MAP@100": "eval_held-out_cosine_map@100",
    "nDCG@10": "eval_held-out_cosine_ndcg@10",
}


@dataclass(frozen=True)
class Training:
    """A finished training. `credits` name the sources of the data and licences, as its user gave them."""

    recipe: Recipe
    batches: Sequence[Batch]
    log: Sequence[dict[str, Any]]
    files: Sequence[Path]
    credits: Sequence[str]


def write_product(model: SentenceTransformer, training: Training, folder: Path) -> Path:
    """Write the adapter and its card to a folder; return the adapter's path."""
    name = training.recipe.model
    base = SentenceTransformer(location_of(name), device="cpu", model_kwargs={"dtype": torch.float32})
    after = {key: each.cpu() for key, each in adapter.parameters_of(model).items()}
    file = folder / FILE
    ranks = adapter.write(file, adapter.parameters_of(base), after, {"base_name": name})
    (folder / CARD).write_text("\n".join(_card(training, file, ranks)) + "\n", encoding="utf-8")
    return file


def _card(training: Training, file: Path, ranks: dict[str, int]) -> Iterator[str]:
    recipe = training.recipe
    yield f"# Adapter of {recipe.model}"
    yield ""
    yield "A trained change of the model's weights, which jobrec's encoder adds when it loads the model."
    yield "The default model finds postings, occupations and skills better with it."
    yield ""
    yield f"- SHA-256 of the file: `{sha256_of(file)}`, {file.stat().st_size:,} bytes"
    yield f"- Trained on {datetime.now(UTC).date().isoformat()} at commit `{_commit()}`"
    libraries = ("torch", "transformers", "sentence-transformers")
    yield f"- With {', '.join(f'{each} {version(each)}' for each in libraries)}, on {recipe.device}"
    yield ""
    yield "## Data"
    yield ""
    yield "| source | pairs | batches | pairs in a batch | tokens of a text, at most |"
    yield "|---|---|---|---|---|"
    yield from _sources(training.batches)
    yield ""
    yield from (f"- `{each.name}`, SHA-256 `{sha256_of(each)}`" for each in training.files)
    yield ""
    yield from (f"- {each}" for each in training.credits)
    yield ""
    yield "## Recipe"
    yield ""
    yield from _recipe(recipe, len(training.batches), ranks)
    yield ""
    yield "## Held-out occupations"
    yield ""
    yield "Names of occupations that were not trained on, found by their preferred name among these names and"
    yield "the preferred names of all occupations."
    yield ""
    yield f"| step | {' | '.join(HELD_OUT)} |"
    yield f"|---|{'---|' * len(HELD_OUT)}"
    for entry in training.log:
        if all(key in entry for key in HELD_OUT.values()):
            yield f"| {entry['step']} | {' | '.join(f'{entry[key]:.3f}' for key in HELD_OUT.values())} |"


def _sources(batches: Sequence[Batch]) -> Iterator[str]:
    by_source = defaultdict(list)
    for batch in batches:
        by_source[batch.source.name, batch.source.size, batch.source.max_tokens].append(len(batch.pairs))
    for (name, size, tokens), pairs in by_source.items():
        yield f"| {name} | {sum(pairs):,} | {len(pairs):,} | {size} | {tokens} |"


def _recipe(recipe: Recipe, steps: int, ranks: dict[str, int]) -> Iterator[str]:
    loss = (
        "in-batch negatives, without those that the untrained model finds more similar than the right answer "
        "(GISTEmbed)"
        if recipe.guided
        else "symmetric InfoNCE with in-batch negatives"
    )
    yield f"- {steps:,} steps; {loss}; cosines times {recipe.scale:g}; no two pairs of one group in a batch"
    if len(recipe.dimensions) > 1:
        yield f"- Matryoshka with {', '.join(map(str, recipe.dimensions))} dimensions"
    yield (
        f"- AdamW, learning rate {recipe.learning_rate:g} falling to 0 after {WARM_UP_STEPS} steps of "
        f"warm-up, weight decay {WEIGHT_DECAY:g}, dropout {DROPOUT:g}, seed {recipe.seed}"
    )
    yield f"- Embeddings and the first {recipe.frozen_layers} layers frozen, all other weights trained"
    yield f"- Low-rank factors in bfloat16, ranks {min(ranks.values())} to {max(ranks.values())}"


def _commit() -> str:
    """Return the commit of the checkout; the version of the package outside one."""
    here = Path(__file__).parent
    git = subprocess.run(
        ["git", "-C", str(here), "rev-parse", "--short=12", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    return git.stdout.strip() or version("jobrec")
