"""The models that the embedding server answers with: each loaded at its first use, with a batcher of its own."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.db import close_old_connections

from apps.embeddings.models import EmbeddingModel
from workers.chunks import version_of
from workers.encoding.batcher import Batch, Batcher, Limits
from workers.encoding.encoder import Encoder
from workers.encoding.loaded import encoder_of, loaded_encoders

logger = logging.getLogger(__name__)

# About the characters of a token in running text. Only for the size of a batch: the encoder counts tokens.
CHARACTERS_PER_TOKEN = 4


class UnknownModelError(Exception):
    """No such model version is registered."""


@dataclass
class Served:
    name: str
    revision: str
    encoder: Encoder
    batcher: Batcher
    used_at: float

    @property
    def dimensions(self) -> int:
        return self.encoder.version.dimensions


class ServedModels:
    def __init__(self, *, on_batch: Callable[[Batch], None]) -> None:
        self._on_batch = on_batch
        self._served: dict[tuple[str, str], Served] = {}
        self._loading = threading.Lock()

    def find(self, name: str, revision: str) -> Served:
        """The registered model, loaded where it is not yet.

        Raises UnknownModelError, ModelLoadError, or django's DatabaseError where the registry cannot be read.
        """
        served = self._served.get(
            (name, revision)
        )  # without the lock: a model that is being loaded delays no other
        if served is None:
            with self._loading:
                served = self._served.get((name, revision)) or self._load(name, revision)
        served.used_at = time.monotonic()
        return served

    def loaded(self) -> list[Served]:
        """Those in memory, the one used most recently first."""
        return sorted(self._served.values(), key=lambda each: -each.used_at)

    def warm_up(self) -> None:
        """Loads the active model and encodes once, so that the first person does not wait for it."""
        model = EmbeddingModel.objects.active() or EmbeddingModel.objects.filled().first()
        if model is None:
            return
        started = time.monotonic()
        self.find(model.name, model.revision).encoder.encode(["warm-up"], role="query")
        logger.info("%s is loaded and warm after %.1f s", model, time.monotonic() - started)

    def close(self) -> None:
        for served in self._served.values():
            served.batcher.close()

    def _load(self, name: str, revision: str) -> Served:
        close_old_connections()  # gRPC's threads outlive any one connection
        model = EmbeddingModel.objects.filter(name=name, revision=revision).first()
        if model is None:
            raise UnknownModelError(f"no model {name}@{revision} is registered")
        encoder = encoder_of(version_of(model))
        hardware = encoder.hardware
        batcher = Batcher(
            lambda texts, role: encoder.encode(texts, role=role),
            slots=hardware.slots,
            limits=Limits(
                texts=settings.EMBED_BATCH_TEXTS,
                characters=hardware.batch_tokens * CHARACTERS_PER_TOKEN,
                wait=settings.EMBED_BATCH_WAIT,
                queue=settings.EMBED_QUEUE_TEXTS,
            ),
            on_batch=self._on_batch,
        )
        served = Served(name, revision, encoder, batcher, time.monotonic())
        kept, in_memory = {(name, revision): served}, loaded_encoders()
        for key, other in self._served.items():
            if other.encoder in in_memory:
                kept[key] = other
            else:  # had to make room
                other.batcher.close()
        self._served = kept
        return served
