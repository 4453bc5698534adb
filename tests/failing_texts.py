"""Texts that make the encoder fail: markers in a text decide what happens to the process that encodes it."""

import os
import signal
from collections.abc import Sequence
from typing import Any

import numpy as np

from workers.encoding.encoder import Encoder, ModelVersion, Vectors
from workers.encoding.hardware import Hardware

RAISES = "text that raises"
SEGFAULTS = "text that segfaults"
IS_KILLED = "text that is killed"  # as the kernel kills a process when memory is short
NOT_FINITE = "text that is not finite"
ALL = (RAISES, SEGFAULTS, IS_KILLED, NOT_FINITE)

_encode = Encoder.encode


def encode(self: Encoder, texts: Sequence[str], **options: Any) -> Vectors:
    """Encode as the real encoder does, but fail in the way that each marker names."""
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
    """Make every encoder of this process fail on marked texts."""
    Encoder.encode = encode  # type: ignore[method-assign]  # that is the point


def load(version: ModelVersion, hardware: Hardware) -> Encoder:
    """Load an encoder that fails on marked texts."""
    install()
    return Encoder(version, hardware)
