"""Texts that hurt: an encoder in which words of a text decide what happens to who encodes it."""

import os
import signal
from collections.abc import Sequence
from typing import Any

import numpy as np

from workers.encoding.encoder import Encoder, ModelVersion, Vectors
from workers.encoding.hardware import Hardware

RAISES = "poison that raises"
SEGFAULTS = "poison that segfaults"
IS_KILLED = "poison that is killed"  # as by the kernel, out of memory
NOT_FINITE = "poison that is not finite"
ALL = (RAISES, SEGFAULTS, IS_KILLED, NOT_FINITE)

_encode = Encoder.encode


def encode(self: Encoder, texts: Sequence[str], **options: Any) -> Vectors:
    for text in texts:
        if SEGFAULTS in text:
            os.kill(os.getpid(), signal.SIGSEGV)
        if IS_KILLED in text:
            os.kill(os.getpid(), signal.SIGKILL)
        if RAISES in text:
            raise ValueError(f"cannot encode {text!r}")
    vectors = _encode(self, texts, **options)
    vectors[[NOT_FINITE in text for text in texts]] = np.nan
    return vectors


def install() -> None:
    """Lets every encoder of this process be hurt."""
    Encoder.encode = encode  # type: ignore[method-assign]  # that is the point


def load(version: ModelVersion, hardware: Hardware) -> Encoder:
    install()
    return Encoder(version, hardware)
