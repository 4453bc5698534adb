"""A forward pass of BERT that computes no padding.

The library pads each text of a batch to the longest one, and computes the padding too, which a batch of queries is too
small to sort away. Here the tokens of all texts stand in one row; only attention lays them out text by text, for as long as
it looks at them. Queries, keys and values come from one multiplication instead of three. Unpadding is known from
MosaicBERT (Portes et al. 2023, arXiv:2312.17482), where kernels of a GPU do it.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Self

import numpy as np

from workers.encoding.libraries import SentenceTransformer, torch

logger = logging.getLogger(__name__)

Tokens = Sequence[list[int]]
Features = dict[str, torch.Tensor]

linear, layer_norm = torch.nn.functional.linear, torch.nn.functional.layer_norm

# Models of this architecture count positions from 0 and normalise after each half of a layer.
ARCHITECTURES = {"bert"}
TRIED_ON = ("data engineer", "nurse in a hospital of the county", "driver")
NEAR = 0.999  # cosine, whatever the number format


@dataclass(frozen=True)
class _Layer:
    attention: torch.Tensor  # weights of queries, keys and values, one below the other
    attention_bias: torch.Tensor
    mixed: Any
    mixed_norm: Any
    wide: Any
    activation: Callable[[torch.Tensor], torch.Tensor]
    narrow: Any
    narrow_norm: Any

    @classmethod
    def of(cls, layer: Any) -> Self:
        parts = (layer.attention.self.query, layer.attention.self.key, layer.attention.self.value)
        weight = torch.cat([part.weight.data for part in parts])
        bias = torch.cat([part.bias.data for part in parts])
        # The library's own forward pass goes on with the same memory.
        for part, rows, few in zip(parts, weight.chunk(3), bias.chunk(3), strict=True):
            part.weight.data, part.bias.data = rows, few
        return cls(
            weight,
            bias,
            layer.attention.output.dense,
            layer.attention.output.LayerNorm,
            layer.intermediate.dense,
            layer.intermediate.intermediate_act_fn,
            layer.output.dense,
            layer.output.LayerNorm,
        )


class Unpadded:
    """The forward pass of one model. Threads may share it."""

    def __init__(self, model: SentenceTransformer) -> None:
        network: Any = model[0].auto_model
        self._after = list(model)[1:]  # pooling, and what the model has behind it
        self._words = network.embeddings.word_embeddings.weight.data
        first_type = network.embeddings.token_type_embeddings.weight.data[0]
        self._positions = network.embeddings.position_embeddings.weight.data + first_type
        self._norm = network.embeddings.LayerNorm
        self._heads = network.config.num_attention_heads
        self._layers = [_Layer.of(layer) for layer in network.encoder.layer]

    @classmethod
    def where_it_agrees(cls, model: SentenceTransformer, padded: Callable[[Tokens], Features]) -> Self | None:
        """For a model of a known architecture on a CPU whose vectors are those of `padded`, tried on a few texts."""
        network = getattr(model[0], "auto_model", None)
        if network is None or network.config.model_type not in ARCHITECTURES or model.device.type != "cpu":
            return None
        tokenizer: Any = model.tokenizer
        tokens = tokenizer(list(TRIED_ON))["input_ids"]
        try:
            with torch.inference_mode():
                unpadded = cls(model)
                one, other = (
                    torch.nn.functional.normalize(encode(tokens)["sentence_embedding"].float(), dim=1)
                    for encode in (unpadded, padded)
                )
        except Exception as error:  # noqa: BLE001  whatever a model needs that is not here
            logger.info("padding is computed, since this model is built otherwise: %r", error)
            return None
        return unpadded if bool(np.min((one * other).sum(dim=1).numpy()) > NEAR) else None

    def __call__(self, tokens: Tokens) -> Features:
        """What the model says of a batch. Call in inference mode."""
        lengths = torch.tensor([len(each) for each in tokens])
        texts, longest = len(tokens), int(lengths.max())
        there = torch.arange(longest) < lengths[:, None]
        places = there.flatten().nonzero()[:, 0]  # of each token in texts × longest
        ids = torch.tensor(list(chain.from_iterable(tokens)))
        row = _normalised(self._words[ids] + self._positions[places % longest], self._norm)
        mask = None if len(ids) == texts * longest else there[:, None, None, :]
        for layer in self._layers:
            seen = self._attention(row, layer, texts, places, mask)
            row = _normalised(row + linear(seen, layer.mixed.weight, layer.mixed.bias), layer.mixed_norm)
            wide = layer.activation(linear(row, layer.wide.weight, layer.wide.bias))
            row = _normalised(row + linear(wide, layer.narrow.weight, layer.narrow.bias), layer.narrow_norm)
        features: Features = {
            "token_embeddings": _laid_out(row, texts * longest, places).view(texts, longest, -1),
            "attention_mask": there.long(),
        }
        for module in self._after:
            features = module(features)
        return features

    def _attention(
        self, row: torch.Tensor, layer: _Layer, texts: int, places: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """tokens × width: what each token takes from those of its own text. `mask` is None where nothing is padded."""
        width = row.shape[1]
        mixed = linear(row, layer.attention, layer.attention_bias)
        if mask is not None:
            mixed = _laid_out(mixed, texts * mask.shape[-1], places)
        queries, keys, values = mixed.view(texts, -1, 3, self._heads, width // self._heads).permute(
            2, 0, 3, 1, 4
        )
        seen = torch.nn.functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        seen = seen.transpose(1, 2).reshape(-1, width)
        return seen if mask is None else seen[places]


def _normalised(row: torch.Tensor, norm: Any) -> torch.Tensor:
    return layer_norm(row, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def _laid_out(row: torch.Tensor, size: int, places: torch.Tensor) -> torch.Tensor:
    """`size` × width: each token at its place, zeros between."""
    laid_out = row.new_zeros(size, row.shape[1])
    laid_out[places] = row
    return laid_out
