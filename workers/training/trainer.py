"""The training itself: sentence-transformers' trainer and losses on planned batches."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.base.sampler import DefaultBatchSampler
from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator
from sentence_transformers.sentence_transformer.losses import (
    GISTEmbedLoss,
    MatryoshkaLoss,
    MultipleNegativesRankingLoss,
)
from transformers.trainer_utils import get_last_checkpoint

from workers.encoding.encoder import Role, location_of
from workers.encoding.unpadded import MODEL_TYPE, TrainableUnpadded
from workers.training.batches import Batch

DROPOUT = 0.05  # half of the model's own: a short training hardly overfits
WARM_UP_STEPS = 20
WEIGHT_DECAY = 0.01
DATASET_NAME = "pairs"

Names = Mapping[str, list[str]]  # of each occupation, the preferred one first


class TrainingError(Exception):
    """The training cannot begin or go on; the message names the remedy."""


@dataclass(frozen=True)
class Recipe:
    """What a training does, except its pairs.

    `scale` multiplies the cosines in the loss: the inverse of its temperature. `dimensions` are the lengths
    to which vectors may be cut (Matryoshka), the whole length first.
    `guided` leaves out wrong answers of a batch that the untrained model prefers to the right one.
    """

    model: str
    learning_rate: float
    scale: float
    frozen_layers: int
    dimensions: tuple[int, ...]
    guided: bool
    evaluate_every: int
    seed: int
    device: str


class PlannedBatches(DefaultBatchSampler):
    """Batches of consecutive rows, whose lengths are given."""

    def __init__(self, dataset: Dataset, lengths: Sequence[int], **options: Any) -> None:
        super().__init__(dataset, **options)
        self._ranges = [range(*ends) for ends in pairwise(accumulate(lengths, initial=0))]

    def __iter__(self) -> Iterator[list[int]]:
        return (list(each) for each in self._ranges)

    def __len__(self) -> int:
        return len(self._ranges)


def load(recipe: Recipe) -> SentenceTransformer:
    """Return the model in float32, with its embeddings and first layers frozen.

    Raises TrainingError for a model that is no BERT.
    """
    model = SentenceTransformer(
        location_of(recipe.model), device=recipe.device, model_kwargs={"dtype": torch.float32}
    )
    network = getattr(model[0], "auto_model", None)
    if network is None or network.config.model_type != MODEL_TYPE:
        raise TrainingError(
            f"Cannot train {recipe.model}: it is no {MODEL_TYPE} model. Choose one with --model."
        )
    for part in (network.embeddings, *network.encoder.layer[: recipe.frozen_layers]):
        part.requires_grad_(False)
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = DROPOUT
    if model.device.type == "cpu":
        _leave_padding_out(model)
    return model


def _leave_padding_out(model: SentenceTransformer) -> None:
    """Let the model compute no padding, which is more than half of a batch of names."""
    unpadded = TrainableUnpadded(model)

    def forward(features: dict[str, torch.Tensor], **_: Any) -> dict[str, torch.Tensor]:
        lengths = features["attention_mask"].sum(dim=1).tolist()
        tokens = [ids[:length] for ids, length in zip(features["input_ids"].tolist(), lengths, strict=True)]
        return features | unpadded.token_embeddings(tokens)

    model[0].forward = forward


def train(
    model: SentenceTransformer,
    batches: Sequence[Batch],
    evaluator: InformationRetrievalEvaluator | None,
    recipe: Recipe,
    folder: Path,
) -> list[dict[str, Any]]:
    """Train the model in place and return the trainer's log; continue from the last checkpoint in `folder`.

    Raises TrainingError if the checkpoint belongs to a training with other options.
    """
    _check_options(recipe, batches, folder)
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        max_steps=len(batches),
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=min(WARM_UP_STEPS, len(batches) // 5),
        weight_decay=WEIGHT_DECAY,
        max_grad_norm=1.0,
        prompts={"anchor": _prompt(model, "query"), "positive": _prompt(model, "document")},
        batch_sampler=partial(PlannedBatches, lengths=[len(batch.pairs) for batch in batches]),
        seed=recipe.seed,
        use_cpu=model.device.type == "cpu",
        logging_steps=10,
        eval_strategy="steps" if evaluator else "no",
        eval_steps=recipe.evaluate_every,
        save_steps=recipe.evaluate_every,
        save_total_limit=2,
        report_to="none",
    )
    trainer = SentenceTransformerTrainer(
        model=model,
        args=arguments,
        train_dataset=_dataset(model, batches),
        loss=_loss(model, recipe),
        evaluator=evaluator,
    )
    last = get_last_checkpoint(str(folder))  # type: ignore[no-untyped-call]
    trainer.train(resume_from_checkpoint=last)
    log: list[dict[str, Any]] = trainer.state.log_history
    return log


def _prompt(model: SentenceTransformer, role: Role) -> str:
    """Return what the model wants before each text of a role."""
    return model.prompts.get(role) or ""


def _check_options(recipe: Recipe, batches: Sequence[Batch], folder: Path) -> None:
    """Store the options next to the checkpoints, or compare them with those of the training to continue.

    Another number of steps is allowed: the batches up to there are the same, and the learning rate falls to 0
    at the new end.
    """
    first = hashlib.sha256(repr(batches[0].pairs).encode()).hexdigest()
    text = json.dumps({**asdict(recipe), "first_batch": first}, indent=2)
    file = folder / "options.json"
    if file.exists() and file.read_text() != text:
        raise TrainingError(
            f"{folder} holds a training with other options or pairs, see {file}. "
            "Repeat its options to continue it, or choose another folder with --output."
        )
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def _dataset(model: SentenceTransformer, batches: Sequence[Batch]) -> Dataset:
    """Return the pairs of all batches in order, each text cut to the tokens that its source allows."""
    rows: dict[str, list[str]] = {"anchor": [], "positive": []}
    for batch in batches:
        for column in rows:
            texts = [getattr(pair, column) for pair in batch.pairs]
            rows[column] += _cut(model, texts, batch.source.max_tokens)
    return Dataset.from_dict(rows)


def _cut(model: SentenceTransformer, texts: list[str], max_tokens: int) -> list[str]:
    encoded = model.tokenizer(texts, truncation=True, max_length=max_tokens, return_offsets_mapping=True)
    return [
        text[: max(end for _, end in offsets)]
        for text, offsets in zip(texts, encoded["offset_mapping"], strict=True)
    ]


def _loss(model: SentenceTransformer, recipe: Recipe) -> torch.nn.Module:
    loss: torch.nn.Module
    if recipe.guided:
        guide = SentenceTransformer(location_of(recipe.model), device=recipe.device)
        loss = GISTEmbedLoss(model, guide, temperature=1 / recipe.scale)
    else:
        loss = MultipleNegativesRankingLoss(
            model,
            scale=recipe.scale,
            directions=("query_to_doc", "doc_to_query"),
            partition_mode="per_direction",
        )
    if len(recipe.dimensions) > 1:
        # A shorter vector counts for less, so that the whole one, which is what is stored, loses nothing.
        weights = [0.5**place for place in range(len(recipe.dimensions))]
        loss = MatryoshkaLoss(model, loss, list(recipe.dimensions), weights)
    return loss


def held_out_evaluator(
    model: SentenceTransformer, held_out: Names, trained: Names
) -> InformationRetrievalEvaluator:
    """Return an evaluator that looks for the names of each held-out occupation by its preferred name.

    It looks among these names and the preferred names of all trained occupations.
    """
    names = {
        f"{key} {place}": name for key, group in held_out.items() for place, name in enumerate(group[1:])
    }
    return InformationRetrievalEvaluator(
        queries={key: group[0] for key, group in held_out.items()},
        corpus={**names, **{key: group[0] for key, group in trained.items()}},
        relevant_docs={
            key: {f"{key} {place}" for place in range(len(group) - 1)} for key, group in held_out.items()
        },
        query_prompt=_prompt(model, "query"),
        corpus_prompt=_prompt(model, "document"),
        name="held-out",
        write_csv=False,
    )
