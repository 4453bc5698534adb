"""The encoders of this process. Each model version is loaded once, at its first use."""

import threading
import time

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from workers.encoding.encoder import Encoder, ModelVersion
from workers.encoding.hardware import Hardware, detect

# A model change needs two at the same time. Further ones are left over from earlier changes.
MAX_LOADED = 2

_lock = threading.Lock()
_encoders: dict[ModelVersion, tuple[Encoder, float]] = {}  # with the time of the last use (monotonic)


def hardware() -> Hardware:
    """Return the hardware as the EMBEDDING_ settings choose it. Raises ImproperlyConfigured."""
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
    """Return the encoder of a model version; load it at the first call. Raises ModelLoadError.

    Beyond MAX_LOADED, the encoder that was used least recently is dropped.
    """
    with _lock:
        encoder = _encoders[version][0] if version in _encoders else Encoder(version, hardware())
        _encoders[version] = (encoder, time.monotonic())
        while len(_encoders) > MAX_LOADED:
            del _encoders[min(_encoders, key=lambda each: _encoders[each][1])]
        return encoder


def loaded_encoders() -> list[Encoder]:
    """Return the encoders in memory, most recently used first."""
    with _lock:
        return [encoder for encoder, _ in sorted(_encoders.values(), key=lambda each: -each[1])]
