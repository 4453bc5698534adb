"""The models of the embedding server. Each is loaded at its first use and has its own batcher."""

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
from workers.encoding.loaded import MAX_LOADED, encoder_of, loaded_encoders

logger = logging.getLogger(__name__)

# Average of running text. It only sizes the batches of the batcher; the encoder counts tokens.
CHARACTERS_PER_TOKEN = 4
WARM_UP_SECONDS = 5.0  # between two looks for models to load ahead of their use


class UnknownModelError(Exception):
    """The model version is not registered."""


@dataclass
class ServedModel:
    """A loaded model version and its batcher. `used_at` is the time of its last use (monotonic, seconds)."""

    name: str
    revision: str
    encoder: Encoder
    batcher: Batcher
    used_at: float

    @property
    def dimensions(self) -> int:
        """Return the length of the model's vectors."""
        return self.encoder.version.dimensions


class ServedModels:
    """Finds, loads and warms up models. Threads may share it."""

    def __init__(
        self, *, on_batch: Callable[[Batch], None], deliver: Callable[[Callable[[], None]], None]
    ) -> None:
        """`on_batch` and `deliver` are passed to each Batcher."""
        self._on_batch, self._deliver = on_batch, deliver
        self._served: dict[tuple[str, str], ServedModel] = {}
        self._loading = threading.Lock()
        self._closed = threading.Event()

    def find(self, name: str, revision: str) -> ServedModel:
        """Return a registered model; load it at the first call.

        Raises UnknownModelError, ModelLoadError, or django's DatabaseError if the registry cannot be read.
        """
        if served := self.in_memory(name, revision):
            return served
        with self._loading:
            return self.in_memory(name, revision) or self._load(name, revision)

    def in_memory(self, name: str, revision: str) -> ServedModel | None:
        """Return a model if it is loaded, else None. Never wait, not even while another one is loaded."""
        served = self._served.get((name, revision))
        if served:
            served.used_at = time.monotonic()
        return served

    def loaded(self) -> list[ServedModel]:
        """Return the models in memory, most recently used first."""
        return sorted(self._served.values(), key=lambda each: -each.used_at)

    def warm_up(self) -> None:
        """Load the active model and encode once, so that the first search does not wait for it."""
        model = EmbeddingModel.objects.active() or EmbeddingModel.objects.filled().first()
        if model is not None:
            self._warm(model)

    def keep_warm(self) -> None:
        """Start a thread that loads the active model and the one being filled before they are requested."""
        threading.Thread(target=self._keep_warm, name="warm-up", daemon=True).start()

    def _keep_warm(self) -> None:
        broken: set[int] = set()  # not tried again here; a request for one is answered with the reason
        while not self._closed.wait(WARM_UP_SECONDS):
            close_old_connections()
            try:
                # The active model comes first in the order of the states.
                wanted = list(EmbeddingModel.objects.filled().order_by("state", "-pk")[:MAX_LOADED])
            except DatabaseError as error:
                logger.warning("cannot read the model registry: %s", error)
                continue
            for model in wanted:
                if model.pk in broken or (model.name, model.revision) in self._served:
                    continue
                try:
                    self._warm(model)
                except (DatabaseError, ModelLoadError) as error:
                    broken.add(model.pk)
                    logger.warning("cannot warm up %s: %s", model, error)

    def _warm(self, model: EmbeddingModel) -> None:
        started = time.monotonic()
        self.find(model.name, model.revision).encoder.encode(["warm-up"], role="query")
        logger.info("%s is loaded and warm after %.1f s", model, time.monotonic() - started)

    def close(self) -> None:
        """Stop the warm-up thread and close all batchers."""
        self._closed.set()
        for served in self._served.values():
            served.batcher.close()

    def _load(self, name: str, revision: str) -> ServedModel:
        close_old_connections()  # gRPC's threads outlive a database connection
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
        served = ServedModel(name, revision, encoder, batcher, time.monotonic())
        still_loaded, in_memory = {(name, revision): served}, loaded_encoders()
        for key, other in self._served.items():
            if other.encoder in in_memory:
                still_loaded[key] = other
            else:  # dropped to make room for this one
                other.batcher.close()
        self._served = still_loaded
        return served
