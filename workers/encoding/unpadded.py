"""A forward pass of BERT without padding, in public operators of torch.

sentence-transformers pads each text of a batch to the longest one and computes the padding too. A batch of
search texts is too small for sorting by length to avoid that. Here the tokens of all texts form one matrix
(tokens × width), and only attention, a small part of the work, pads it; queries, keys and values come from
one product instead of three. Unpadding: Portes et al. 2023, MosaicBERT, arXiv:2312.17482. Measurements:
docs/decisions/0009.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, Self

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from torch.nn.functional import embedding, linear, normalize, scaled_dot_product_attention

logger = logging.getLogger(__name__)

Tokens = Sequence[list[int]]
Features = dict[str, torch.Tensor]
FusedLayer = tuple[
    Any, torch.Tensor, torch.Tensor
]  # with the weight and the bias of queries, keys and values

# Models of this type count positions from 0 and have the submodules that `Unpadded` calls.
MODEL_TYPE = "bert"
TRIAL_TEXTS = ("data engineer", "nurse in a hospital of the county", "driver")
MIN_COSINE = 0.999  # holds in bfloat16, too


class Unpadded:
    """The forward pass of one model. Threads may share it."""

    def __init__(self, model: SentenceTransformer) -> None:
        """Fuse the weights of queries, keys and values of each layer."""
        network: Any = model[0].auto_model
        self._pooling = list(model)[1:]  # and any modules after it
        self._heads: int = network.config.num_attention_heads
        self._embeddings = network.embeddings
        first_type = network.embeddings.token_type_embeddings.weight[0]
        self._positions = (network.embeddings.position_embeddings.weight + first_type).detach()
        self._layers: list[FusedLayer] = []
        for layer in network.encoder.layer:
            weight, bias = fuse(layer)
            self._layers.append((layer, weight.detach(), bias.detach()))

    @classmethod
    def if_applicable(cls, model: SentenceTransformer, padded: Callable[[Tokens], Features]) -> Self | None:
        """Return the forward pass if the model is a BERT on a CPU and its vectors equal those of `padded`.

        Otherwise log the reason and return None.
        """
        network = getattr(model[0], "auto_model", None)
        model_type = network.config.model_type if network is not None else type(model[0]).__name__
        if model_type != MODEL_TYPE or model.device.type != "cpu":
            reason = f"it is for {MODEL_TYPE} on a CPU, not for {model_type} on {model.device.type}"
        else:
            try:
                unpadded = cls(model)
                cosine = unpadded._min_cosine(model, padded)
            except Exception as error:  # noqa: BLE001  a model may lack any of the submodules
                reason = f"the model is built differently: {error!r}"
            else:
                if cosine >= MIN_COSINE:
                    return unpadded
                reason = f"its vectors differ: cosine {cosine:.4f}"
        logger.warning("Forward pass without padding not used: %s. Batches are padded.", reason)
        return None

    @torch.inference_mode()
    def _min_cosine(self, model: SentenceTransformer, padded: Callable[[Tokens], Features]) -> float:
        tokenizer: Any = model.tokenizer
        tokens = tokenizer(list(TRIAL_TEXTS))["input_ids"]
        one, other = (
            normalize(encode(tokens)["sentence_embedding"].float(), dim=1) for encode in (self, padded)
        )
        return float((one * other).sum(dim=1).min())

    def __call__(self, tokens: Tokens) -> Features:
        """Return what the model's own forward pass returns for these token ids. Call it in inference mode."""
        features = self.token_embeddings(tokens)
        for module in self._pooling:
            features = module(features)
        return features

    def token_embeddings(self, tokens: Tokens) -> Features:
        """Return the vectors of the tokens (texts × longest text × width) and their mask, before pooling."""
        lengths = np.array([len(each) for each in tokens])
        texts, longest = len(lengths), int(lengths.max())
        is_token = np.arange(longest) < lengths[:, None]  # texts × longest
        mask = torch.from_numpy(is_token)
        places = torch.from_numpy(np.flatnonzero(is_token))  # of each token, in texts × longest
        ids = torch.from_numpy(np.fromiter(chain.from_iterable(tokens), np.int64, len(places)))
        words = embedding(ids, self._embeddings.word_embeddings.weight)
        rows = self._embeddings.LayerNorm(words + embedding(places % longest, self._positions))
        for layer, weight, bias in self.layers():
            padded = _pad(linear(rows, weight, bias), places, texts, longest)
            query, key, value = padded.view(texts, longest, 3, self._heads, -1).permute(2, 0, 3, 1, 4)
            attended = scaled_dot_product_attention(
                query, key, value, attn_mask=None if len(places) == texts * longest else mask[:, None, None]
            )
            attended = attended.transpose(1, 2).reshape(texts * longest, -1).index_select(0, places)
            rows = layer.attention.output(attended, rows)
            rows = layer.output(layer.intermediate(rows), rows)
        return {
            "token_embeddings": _pad(rows, places, texts, longest),
            "attention_mask": mask.long(),
        }

    def layers(self) -> Iterable[FusedLayer]:
        """Return the layers with their fused weights."""
        return self._layers


class TrainableUnpadded(Unpadded):
    """The forward pass of a model that is being trained, except its embeddings."""

    def layers(self) -> Iterable[FusedLayer]:
        """Fuse the weights as they are now."""
        return ((layer, *fuse(layer)) for layer, _, _ in self._layers)


def fuse(layer: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weights (3 widths × width) and biases of a layer's queries, keys and values as one."""
    attention = layer.attention.self
    parts = (attention.query, attention.key, attention.value)
    weight, bias = (torch.cat([getattr(part, name) for part in parts]) for name in ("weight", "bias"))
    return weight, bias


def _pad(rows: torch.Tensor, places: torch.Tensor, texts: int, length: int) -> torch.Tensor:
    """Lay out tokens × width as texts × length × width, with zeros for padding."""
    if len(places) < texts * length:
        rows = rows.new_zeros(texts * length, rows.size(1)).index_copy_(0, places, rows)
    return rows.view(texts, length, -1)
