"""A forward pass of BERT that computes no padding.

The library pads each text of a batch to the longest one, and computes the padding too, which a batch of
queries is too small to sort away. Here the tokens of all texts stand in one row; only attention lays them out
in blocks, for as long as it looks at them, and short texts share a block, in which each sees itself alone.
Queries, keys and values come from one multiplication instead of three, weights are laid out once, and what
follows a multiplication is done with it. Unpadding is known from MosaicBERT (Portes et al. 2023,
arXiv:2312.17482), where kernels of a GPU do it; texts that share a block, from Krell et al. 2021
(arXiv:2107.02027).
"""

import logging
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from itertools import chain
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer

logger = logging.getLogger(__name__)

Tokens = Sequence[list[int]]
Features = dict[str, torch.Tensor]

# Models of this architecture count positions from 0 and normalise after each half of a layer.
ARCHITECTURES = {"bert"}
ACTIVATION = "gelu"
TRIED_ON = ("data engineer", "nurse in a hospital of the county", "driver")
NEAR = 0.999  # cosine, whatever the number format
BLOCK = 32  # tokens, or a multiple: attention's kernel on a CPU takes so many queries at a time
MANY = 512  # tokens
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


class _Model(NamedTuple):
    words: torch.Tensor
    positions: torch.Tensor  # what their first token type adds is in them
    scale: torch.Tensor
    shift: torch.Tensor
    layers: list[_Layer]
    heads: int
    eps: float

    @classmethod
    def of(cls, network: Any) -> Self:
        words = network.embeddings.word_embeddings.weight.detach()
        first_type = network.embeddings.token_type_embeddings.weight.detach()[0]
        return cls(
            words,
            network.embeddings.position_embeddings.weight.detach() + first_type,
            network.embeddings.LayerNorm.weight.detach(),
            network.embeddings.LayerNorm.bias.detach(),
            [_Layer.of(layer) for layer in network.encoder.layer],
            network.config.num_attention_heads,
            network.config.layer_norm_eps,
        )


def _reordered(weight: torch.Tensor) -> torch.Tensor:
    """Laid out once as the processor's kernels read it; `torch.nn.functional.linear` does so anew at each call."""
    reordered: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.detach())  # noqa: SLF001
    return reordered


def _rounded(tokens: int) -> int:
    """Rows to compute for so many tokens: a multiple of 16, or of 64 where that adds little.

    A product is compiled for its very shape, which takes as long as computing it a few times: few shapes come
    again.
    """
    step = 16 if tokens < MANY else 64
    return -(-tokens // step) * step


def shared_blocks(lengths: npt.NDArray[np.int64], length: int) -> list[list[int]]:
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

    places: torch.Tensor  # of each row, in blocks × length; of rows that hold no token, the first
    tokens: torch.Tensor  # blocks × length: which is there; where none is, the first of its block
    seen: torch.Tensor | None  # attention's mask, blocks × 1 × (1 or length) × length; None: all see all

    @classmethod
    def of(
        cls, lengths: npt.NDArray[np.int64], blocks: Sequence[Sequence[int]], length: int, *, rows: int
    ) -> Self:
        starts = np.zeros(len(lengths), np.int64)
        for number, block in enumerate(blocks):
            place = number * length
            for text in block:
                starts[text] = place
                place += lengths[text]
        owners = np.repeat(np.arange(len(lengths)), lengths)
        places = np.arange(len(owners)) + (starts - lengths.cumsum() + lengths)[owners]
        texts = np.full((len(blocks), length), -1)
        texts.flat[places] = owners
        tokens = np.full_like(texts, -1)
        tokens.flat[places] = np.arange(len(places))
        return cls(
            torch.from_numpy(np.pad(places, (0, rows - len(places)))),
            torch.from_numpy(np.where(tokens < 0, tokens[:, :1], tokens)),
            _mask(texts),
        )


def _mask(texts: npt.NDArray[np.int64]) -> torch.Tensor | None:
    """0 within a text, −∞ elsewhere, for the texts at the places of some blocks, -1 where none is."""
    own = texts == texts[:, :1]
    if own.all():
        return None
    shared = (~own & (texts >= 0)).any()
    same = texts[:, None, None] == texts[:, None, :, None] if shared else own[:, None, None]
    return torch.from_numpy(np.where(same, np.float32(0), np.float32(-np.inf)))


def _through(model: _Model, ids: torch.Tensor, layout: _Layout, table: _Layout) -> torch.Tensor:
    """texts × longest × width, after all layers. The operators are those that torch's own compiler puts in for a CPU.

    What they can do with a product before it leaves the processor's cache, they do there.
    """
    blocks, longest = layout.tokens.size(0), table.tokens.size(1)
    width, eps = model.words.size(1), model.eps
    tokens, seen = layout.tokens.flatten(), layout.seen
    # Else each text fills a block, and they stand in their order already.
    moved = seen is not None or len(tokens) != len(ids)
    if seen is not None:
        seen = seen.to(model.words.dtype)
    row = model.words.index_select(0, ids) + model.positions.index_select(0, table.places % longest)
    row = torch.layer_norm(row, [width], model.scale, model.shift, eps)
    for layer in model.layers:
        mixed = torch.ops.mkldnn._linear_pointwise(  # noqa: SLF001
            row, layer.attention, layer.attention_bias, "none", [], ""
        )
        if moved:
            mixed = mixed.index_select(0, tokens)
        parts = mixed.view([blocks, -1, 3, model.heads, width // model.heads]).permute([2, 0, 3, 1, 4])
        taken = torch.nn.functional.scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask=seen)
        taken = taken.transpose(1, 2).reshape([-1, width])
        if moved:
            taken = taken.index_select(0, layout.places)
        row = torch.ops.mkldnn._linear_pointwise(taken, row, layer.mixed, layer.mixed_bias, "add")  # noqa: SLF001
        row = torch.layer_norm(row, [width], layer.mixed_scale, layer.mixed_shift, eps)
        wide = torch.ops.mkldnn._linear_pointwise(row, layer.wide, layer.wide_bias, "gelu", [], "none")  # noqa: SLF001
        row = torch.ops.mkldnn._linear_pointwise(wide, row, layer.narrow, layer.narrow_bias, "add")  # noqa: SLF001
        row = torch.layer_norm(row, [width], layer.narrow_scale, layer.narrow_shift, eps)
    return row.index_select(0, table.tokens.flatten()).view([-1, longest, width])


@cache
def _compiled() -> Callable[..., torch.Tensor]:
    """`_through` as one call.

    Run by Python, it would wait for Python's lock after every operator, which the threads that answer calls
    hold. torch means to give up its script compiler, and has no other that compiles without one of C++ on the
    machine.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        compiled: Callable[..., torch.Tensor] = torch.jit.script(_through)
    return compiled


class Unpadded:
    """The forward pass of one model. Threads may share it."""

    def __init__(self, model: SentenceTransformer) -> None:
        self._model = _Model.of(model[0].auto_model)
        self._after = list(model)[1:]  # pooling, and what the model has behind it

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

        Where a text's vector is not finite, those of texts beside it may not be either: encode such texts
        alone.
        """
        lengths = np.array([len(each) for each in tokens])
        longest = int(lengths.max())
        rows = _rounded(int(lengths.sum()))
        table = layout = _Layout.of(lengths, [[text] for text in range(len(tokens))], longest, rows=rows)
        block = -(-longest // BLOCK) * BLOCK
        if len(tokens) > 1 and block <= LONGEST_SHARED:
            layout = _Layout.of(lengths, shared_blocks(lengths, block), block, rows=rows)
        ids = np.fromiter(chain.from_iterable(tokens), np.int64)
        features: Features = {
            "token_embeddings": _compiled()(
                self._model, torch.from_numpy(np.pad(ids, (0, rows - len(ids)))), layout, table
            ),
            "attention_mask": torch.from_numpy((np.arange(longest) < lengths[:, None]).astype(np.int64)),
        }
        for module in self._after:
            features = module(features)
        return features
