"""The encoders of this process: each model version is loaded once, at its first use."""

import threading
import time

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from workers.encoding.encoder import Encoder, ModelVersion
from workers.encoding.hardware import Hardware, detect

_lock = threading.Lock()
_encoders: dict[ModelVersion, tuple[Encoder, float]] = {}
# A model change needs two at a time; more are only left over from earlier changes.
MOST_LOADED = 2


def hardware() -> Hardware:
    """As the settings say, else what the machine has. Raises ImproperlyConfigured."""
    try:
        return detect(
            device=settings.EMBEDDING_DEVICE,
            dtype=settings.EMBEDDING_DTYPE,
            batch_tokens=settings.EMBEDDING_BATCH_TOKENS,
            cores=settings.EMBEDDING_CORES,
        )
    except ValueError as error:
        raise ImproperlyConfigured(str(error)) from error


def encoder_of(version: ModelVersion) -> Encoder:
    """The encoder of `version`, loaded where it is not yet. Raises ModelLoadError."""
    with _lock:
        encoder = _encoders[version][0] if version in _encoders else Encoder(version, hardware())
        _encoders[version] = (encoder, time.monotonic())
        while len(_encoders) > MOST_LOADED:
            del _encoders[min(_encoders, key=lambda each: _encoders[each][1])]
        return encoder


def loaded_encoders() -> list[Encoder]:
    """Those in memory, the one used most recently first."""
    with _lock:
        return [encoder for encoder, _ in sorted(_encoders.values(), key=lambda each: -each[1])]
