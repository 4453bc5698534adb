"""Short texts of unequal length in one row, each of which sees only itself: no padding is computed.

A batch of queries is too small to sort its padding away. In one row, `attention_mask` keeps the texts apart and
`position_ids` begin anew with each of them; only attention looks at all tokens of the row.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from workers.encoding.libraries import SentenceTransformer, torch

Tokens = Sequence[list[int]]
Features = dict[str, torch.Tensor]

# Models of this architecture count positions from 0 and take such a mask as it is.
ARCHITECTURES = {"bert"}
# In a row of about so many tokens, attention to those of other texts costs as much again as all else. Tried with the
# default model on a CPU; wider models come off better.
ATTENTION_DOUBLES_AT = 1_600
LEAST_GAIN = 0.95  # of the padded batch; unpacking costs something too


def pays(lengths: Sequence[int]) -> bool:
    """Whether texts of so many tokens are cheaper in one row than padded to the longest."""
    tokens, padded = sum(lengths), max(lengths) * len(lengths)
    return tokens * (1 + tokens / ATTENTION_DOUBLES_AT) < LEAST_GAIN * padded


def can_pack(model: SentenceTransformer, padded: Callable[[Tokens], Features]) -> bool:
    """Whether `model` gives the same vectors in one row: of a known architecture, and tried."""
    network = getattr(model[0], "auto_model", None)
    if network is None or network.config.model_type not in ARCHITECTURES or model.device.type != "cpu":
        return False
    tokenizer: Any = model.tokenizer
    tokens = tokenizer(["data engineer", "nurse in a hospital of the county", "driver"])["input_ids"]
    with torch.inference_mode():
        one_row, apart = (
            torch.nn.functional.normalize(encode(tokens)["sentence_embedding"].float(), dim=1)
            for encode in (lambda some: packed(model, some), padded)
        )
    return bool(np.min((one_row * apart).sum(dim=1).numpy()) > 0.999)


def packed(model: SentenceTransformer, tokens: Tokens) -> Features:
    """What `model` says of a batch, computed in one row. Call in inference mode, where `can_pack`."""
    lengths = torch.tensor([len(each) for each in tokens])
    longest = int(lengths.max())
    row = torch.tensor([[token for each in tokens for token in each]])
    owner = torch.repeat_interleave(torch.arange(len(tokens)), lengths)
    positions = torch.cat([torch.arange(len(each)) for each in tokens])[None]
    network: Any = model[0].auto_model
    states = network(
        input_ids=row, position_ids=positions, attention_mask=(owner[:, None] == owner)[None, None]
    )[0]
    features: Features = {
        "token_embeddings": torch.nn.utils.rnn.pad_sequence(
            list(states[0].split([len(each) for each in tokens])), batch_first=True
        ),
        "attention_mask": (torch.arange(longest) < lengths[:, None]).long(),
    }
    for module in list(model)[1:]:
        features = module(features)
    return features
