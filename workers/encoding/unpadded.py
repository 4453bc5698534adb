"""A forward pass of BERT that computes no padding.

The library pads each text of a batch to the longest one, and computes the padding too, which a batch of queries is too
small to sort away. Here the tokens of all texts stand in one row; only attention lays them out text by text, for as long as
it looks at them. Queries, keys and values come from one multiplication instead of three, weights are laid out once, and what
follows a multiplication is done with it. Unpadding is known from MosaicBERT (Portes et al. 2023, arXiv:2312.17482), where
kernels of a GPU do it.
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

# Models of this architecture count positions from 0 and normalise after each half of a layer.
ARCHITECTURES = {"bert"}
ACTIVATION = "gelu"
TRIED_ON = ("data engineer", "nurse in a hospital of the county", "driver")
NEAR = 0.999  # cosine, whatever the number format


class _Dense:
    """A linear layer, inputs × outputs, whose weight is laid out once as the processor's kernels read it.

    `torch.nn.functional.linear` lays it out anew at each call. The operators are those that torch's own compiler puts in
    for a linear layer on a CPU; what they can do with a product before it leaves the processor's cache, they do here.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        kernels: Any = torch.ops.mkldnn
        self._weight = kernels._reorder_linear_weight(weight.detach())  # noqa: SLF001
        self._bias = bias.detach()
        self._product: Any = kernels._linear_pointwise  # noqa: SLF001

    @classmethod
    def of(cls, linear: Any) -> Self:
        return cls(linear.weight, linear.bias)

    def __call__(self, row: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = self._product(row, self._weight, self._bias, "none", [], "")
        return product

    def activated(self, row: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = self._product(row, self._weight, self._bias, ACTIVATION, [], "none")
        return product

    def added_to(self, other: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
        total: torch.Tensor = self._product.binary(row, other, self._weight, self._bias, "add")
        return total


@dataclass(frozen=True)
class _Layer:
    attention: _Dense  # queries, keys and values, one beside the other
    mixed: _Dense
    mixed_norm: Any
    wide: _Dense
    narrow: _Dense
    narrow_norm: Any

    @classmethod
    def of(cls, layer: Any) -> Self:
        parts = (layer.attention.self.query, layer.attention.self.key, layer.attention.self.value)
        return cls(
            _Dense(torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts])),
            _Dense.of(layer.attention.output.dense),
            layer.attention.output.LayerNorm,
            _Dense.of(layer.intermediate.dense),
            _Dense.of(layer.output.dense),
            layer.output.LayerNorm,
        )


@dataclass(frozen=True)
class _Layout:
    """Where the tokens of a batch stand in texts × longest text, by rows."""

    there: torch.Tensor  # texts × longest: whether a token is there
    places: torch.Tensor  # of each token
    tokens: torch.Tensor  # at each place

    @classmethod
    def of(cls, lengths: torch.Tensor) -> Self:
        position = torch.arange(int(lengths.max()))
        there = position < lengths[:, None]
        # Padding repeats the last token of its own text: from another text it would take over what is not finite.
        tokens = (lengths.cumsum(0) - lengths)[:, None] + torch.minimum(position, lengths[:, None] - 1)
        return cls(there, there.flatten().nonzero()[:, 0], tokens.flatten())


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
        if network.config.hidden_act != ACTIVATION:
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
        layout = _Layout.of(lengths)
        ids = torch.tensor(list(chain.from_iterable(tokens)))
        row = _normalised(self._words[ids] + self._positions[layout.places % longest], self._norm)
        for layer in self._layers:
            seen = self._attention(
                layer.attention(row), texts, layout if len(ids) < texts * longest else None
            )
            row = _normalised(layer.mixed.added_to(row, seen), layer.mixed_norm)
            row = _normalised(layer.narrow.added_to(row, layer.wide.activated(row)), layer.narrow_norm)
        features: Features = {
            "token_embeddings": row.index_select(0, layout.tokens).view(texts, longest, -1),
            "attention_mask": layout.there.long(),
        }
        for module in self._after:
            features = module(features)
        return features

    def _attention(self, mixed: torch.Tensor, texts: int, layout: _Layout | None) -> torch.Tensor:
        """tokens × width: what each token takes from those of its own text, out of tokens × 3 widths."""
        width = mixed.shape[1] // 3
        if layout is not None:
            mixed = mixed.index_select(0, layout.tokens)
        queries, keys, values = mixed.view(texts, -1, 3, self._heads, width // self._heads).permute(
            2, 0, 3, 1, 4
        )
        seen = torch.nn.functional.scaled_dot_product_attention(
            queries, keys, values, attn_mask=layout.there[:, None, None, :] if layout else None
        )
        seen = seen.transpose(1, 2).reshape(-1, width)
        return seen.index_select(0, layout.places) if layout else seen


def _normalised(row: torch.Tensor, norm: Any) -> torch.Tensor:
    return torch.nn.functional.layer_norm(row, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
