"""A forward pass of BERT that computes no padding.

The library pads each text of a batch to the longest one, and computes the padding too, which a batch of queries is too
small to sort away. Here the tokens of all texts stand in one row; only attention lays them out in blocks, for as long as it
looks at them, and short texts share a block, in which each sees itself alone. Queries, keys and values come from one
multiplication instead of three, weights are laid out once, and what follows a multiplication is done with it. Unpadding is
known from MosaicBERT (Portes et al. 2023, arXiv:2312.17482), where kernels of a GPU do it; texts that share a block, from
Krell et al. 2021 (arXiv:2107.02027).
"""

import logging
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from itertools import chain
from typing import Any, NamedTuple, Self

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
BLOCK = 32  # tokens, or a multiple: attention's kernel on a CPU takes so many queries at a time
LONGEST_SHARED = 64  # tokens: in longer blocks it looks at too much that it must not see


class _Layer(NamedTuple):
    """The weights of one layer; those of products as `_reordered` lays them out."""

    attention: torch.Tensor  # queries, keys and values, one beside the other
    attention_bias: torch.Tensor
    mixed: torch.Tensor
    mixed_bias: torch.Tensor
    mixed_scale: torch.Tensor
    mixed_shift: torch.Tensor
    wide: torch.Tensor
    wide_bias: torch.Tensor
    narrow: torch.Tensor
    narrow_bias: torch.Tensor
    narrow_scale: torch.Tensor
    narrow_shift: torch.Tensor

    @classmethod
    def of(cls, layer: Any) -> Self:
        parts = (layer.attention.self.query, layer.attention.self.key, layer.attention.self.value)
        mixed, mixed_norm = layer.attention.output.dense, layer.attention.output.LayerNorm
        wide, narrow, narrow_norm = layer.intermediate.dense, layer.output.dense, layer.output.LayerNorm
        return cls(
            _reordered(torch.cat([part.weight for part in parts])),
            torch.cat([part.bias for part in parts]).detach(),
            *(_reordered(mixed.weight), mixed.bias.detach()),
            *(mixed_norm.weight.detach(), mixed_norm.bias.detach()),
            *(_reordered(wide.weight), wide.bias.detach()),
            *(_reordered(narrow.weight), narrow.bias.detach()),
            *(narrow_norm.weight.detach(), narrow_norm.bias.detach()),
        )


def _reordered(weight: torch.Tensor) -> torch.Tensor:
    """Laid out once as the processor's kernels read it; `torch.nn.functional.linear` does so anew at each call."""
    reordered: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.detach())  # noqa: SLF001
    return reordered


def shared_blocks(lengths: Sequence[int], length: int) -> list[list[int]]:
    """Indexes of `lengths` in blocks of at most `length` together: the longest with the shortest that fit beside it."""
    left = deque(sorted(range(len(lengths)), key=lambda index: -lengths[index]))
    blocks = []
    while left:
        block = [left.popleft()]
        room = length - lengths[block[0]]
        while left and lengths[left[-1]] <= room:
            block.append(left.pop())
            room -= lengths[block[-1]]
        blocks.append(block)
    return blocks


class _Layout(NamedTuple):
    """Where the tokens of a batch stand in blocks of equal length."""

    places: torch.Tensor  # of each token, in blocks × length
    tokens: torch.Tensor  # at each place; where it is empty, the first of its block
    texts: torch.Tensor  # blocks × length: whose token is there, -1 for nobody's

    @classmethod
    def of(cls, lengths: Sequence[int], blocks: Sequence[Sequence[int]], length: int) -> Self:
        starts = [0] * len(lengths)
        for number, block in enumerate(blocks):
            place = number * length
            for text in block:
                starts[text] = place
                place += lengths[text]
        many, owners = torch.tensor(lengths), torch.arange(len(lengths))
        moved = torch.tensor(starts) - (many.cumsum(0) - many)
        places = torch.arange(sum(lengths)) + moved.repeat_interleave(many)
        texts = torch.full((len(blocks) * length,), -1).index_copy(0, places, owners.repeat_interleave(many))
        tokens = torch.full_like(texts, -1).index_copy(0, places, torch.arange(len(places)))
        tokens = tokens.view(-1, length)
        return cls(places, torch.where(tokens < 0, tokens[:, :1], tokens).flatten(), texts.view(-1, length))

    def seen(self, dtype: torch.dtype) -> torch.Tensor | None:
        """The mask of attention: 0 within a text, −∞ elsewhere.

        blocks × 1 × (1 or length) × length; None where every token of a block sees every other.
        """
        if bool((self.texts == self.texts[:, :1]).all()):
            return None
        alone = bool(((self.texts == self.texts[:, :1]) | (self.texts < 0)).all())
        theirs = self.texts[:, None, None, :]
        same = theirs >= 0 if alone else theirs == self.texts[:, None, :, None]
        return torch.zeros(same.shape, dtype=dtype).masked_fill(~same, -torch.inf)


def _through(
    row: torch.Tensor,
    layers: list[_Layer],
    heads: int,
    eps: float,
    layout: _Layout,
    seen: torch.Tensor | None,
) -> torch.Tensor:
    """tokens × width, after all layers. The operators are those that torch's own compiler puts in for a CPU.

    What they can do with a product before it leaves the processor's cache, they do there.
    """
    width = row.size(1)
    for layer in layers:
        mixed = torch.ops.mkldnn._linear_pointwise(  # noqa: SLF001
            row, layer.attention, layer.attention_bias, "none", [], ""
        )
        if seen is not None:  # else each text fills a block, and they stand in their order already
            mixed = mixed.index_select(0, layout.tokens)
        parts = mixed.view([layout.texts.size(0), -1, 3, heads, width // heads]).permute([2, 0, 3, 1, 4])
        taken = torch.nn.functional.scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask=seen)
        taken = taken.transpose(1, 2).reshape([-1, width])
        if seen is not None:
            taken = taken.index_select(0, layout.places)
        row = torch.ops.mkldnn._linear_pointwise(taken, row, layer.mixed, layer.mixed_bias, "add")  # noqa: SLF001
        row = torch.layer_norm(row, [width], layer.mixed_scale, layer.mixed_shift, eps)
        wide = torch.ops.mkldnn._linear_pointwise(row, layer.wide, layer.wide_bias, "gelu", [], "none")  # noqa: SLF001
        row = torch.ops.mkldnn._linear_pointwise(wide, row, layer.narrow, layer.narrow_bias, "add")  # noqa: SLF001
        row = torch.layer_norm(row, [width], layer.narrow_scale, layer.narrow_shift, eps)
    return row


@cache
def _compiled() -> Callable[..., torch.Tensor]:
    """`_through` as one call.

    Run by Python, it would wait for Python's lock after every operator, which the threads that answer calls hold.
    torch means to give up its script compiler, and has no other that compiles without one of C++ on the machine.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        compiled: Callable[..., torch.Tensor] = torch.jit.script(_through)
    return compiled


class Unpadded:
    """The forward pass of one model. Threads may share it."""

    def __init__(self, model: SentenceTransformer) -> None:
        network: Any = model[0].auto_model
        self._after = list(model)[1:]  # pooling, and what the model has behind it
        self._words = network.embeddings.word_embeddings.weight.data
        first_type = network.embeddings.token_type_embeddings.weight.data[0]
        self._positions = network.embeddings.position_embeddings.weight.data + first_type
        self._norm = network.embeddings.LayerNorm
        self._heads, self._eps = network.config.num_attention_heads, network.config.layer_norm_eps
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
        """What the model says of a batch. Call in inference mode.

        Where a text's vector is not finite, those of texts beside it may not be either: encode such texts alone.
        """
        lengths = [len(each) for each in tokens]
        longest = max(lengths)
        table = layout = _Layout.of(lengths, [[text] for text in range(len(tokens))], longest)
        block = -(-longest // BLOCK) * BLOCK
        if len(tokens) > 1 and block <= LONGEST_SHARED:
            layout = _Layout.of(lengths, shared_blocks(lengths, block), block)
        seen = layout.seen(self._words.dtype)
        ids = torch.tensor(list(chain.from_iterable(tokens)))
        row = self._norm(self._words[ids] + self._positions[table.places % longest])
        row = _compiled()(row, self._layers, self._heads, self._eps, layout, seen)
        features: Features = {
            "token_embeddings": row.index_select(0, table.tokens).view(*table.texts.shape, -1),
            "attention_mask": (table.texts >= 0).long(),
        }
        for module in self._after:
            features = module(features)
        return features
