"""The models that the embedding server answers with: each loaded at its first use, with a batcher of its own."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.db import DatabaseError, close_old_connections

from apps.embeddings.models import EmbeddingModel
from workers.chunks import version_of
from workers.encoding.batcher import Batch, Batcher, Limits
from workers.encoding.encoder import Encoder
from workers.encoding.errors import ModelLoadError
from workers.encoding.loaded import MOST_LOADED, encoder_of, loaded_encoders

logger = logging.getLogger(__name__)

# About the characters of a token in running text. Only for the size of a batch: the encoder counts tokens.
CHARACTERS_PER_TOKEN = 4
WARM_UP_EVERY = 5.0  # seconds


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
    def __init__(
        self, *, on_batch: Callable[[Batch], None], deliver: Callable[[Callable[[], None]], None]
    ) -> None:
        self._on_batch, self._deliver = on_batch, deliver
        self._served: dict[tuple[str, str], Served] = {}
        self._loading = threading.Lock()
        self._closed = threading.Event()

    def find(self, name: str, revision: str) -> Served:
        """The registered model, loaded where it is not yet.

        Raises UnknownModelError, ModelLoadError, or django's DatabaseError where the registry cannot be read.
        """
        if served := self.in_memory(name, revision):
            return served
        with self._loading:
            return self.in_memory(name, revision) or self._load(name, revision)

    def in_memory(self, name: str, revision: str) -> Served | None:
        """The same where it is loaded. Waits for nothing, neither for another that is being loaded."""
        served = self._served.get((name, revision))
        if served:
            served.used_at = time.monotonic()
        return served

    def loaded(self) -> list[Served]:
        """Those in memory, the one used most recently first."""
        return sorted(self._served.values(), key=lambda each: -each.used_at)

    def warm_up(self) -> None:
        """Loads the active model and encodes once, so that the first person does not wait for it."""
        model = EmbeddingModel.objects.active() or EmbeddingModel.objects.filled().first()
        if model is not None:
            self._warm(model)

    def keep_warm(self) -> None:
        """Looks every few seconds, in a thread of its own, for a model that is being filled to replace the active one."""
        threading.Thread(target=self._keep_warm, name="warm-up", daemon=True).start()

    def _keep_warm(self) -> None:
        broken: set[int] = set()  # whoever asks for one of these is told why; it is not tried for ever
        while not self._closed.wait(WARM_UP_EVERY):
            close_old_connections()
            try:
                # In the order of their states, the active one comes first.
                wanted = list(EmbeddingModel.objects.filled().order_by("state", "-pk")[:MOST_LOADED])
            except DatabaseError as error:
                logger.warning("the model registry cannot be read: %s", error)
                continue
            for model in wanted:
                if model.pk in broken or (model.name, model.revision) in self._served:
                    continue
                try:
                    self._warm(model)
                except (DatabaseError, ModelLoadError) as error:
                    broken.add(model.pk)
                    logger.warning("%s cannot be warmed up: %s", model, error)

    def _warm(self, model: EmbeddingModel) -> None:
        started = time.monotonic()
        self.find(model.name, model.revision).encoder.encode(["warm-up"], role="query")
        logger.info("%s is loaded and warm after %.1f s", model, time.monotonic() - started)

    def close(self) -> None:
        self._closed.set()
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
            deliver=self._deliver,
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
