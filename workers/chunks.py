"""Embedding one chunk, from the lease to the ledger."""

import logging
import time

from django.conf import settings
from django.db import InterfaceError, OperationalError

from apps.embeddings import leases, ledger, planning, reading
from apps.embeddings.errors import LeaseLostError
from apps.embeddings.leases import Lease
from apps.embeddings.ledger import Embedded, Failure
from apps.embeddings.models import EmbeddingModel
from workers.encoding.encoder import ModelVersion
from workers.encoding.errors import ModelLoadError, TransientEncoderError
from workers.encoding.isolation import encode_isolating
from workers.encoding.loaded import encoder_of

logger = logging.getLogger(__name__)


def version_of(model: EmbeddingModel) -> ModelVersion:
    return ModelVersion(model.name, model.weights, model.windows, model.dimensions)


def process(lease: Lease) -> None:
    """Embeds a leased chunk; whatever happens to it, the ledger says so.

    Raises what may pass, with the lease still held for the retry: TransientEncoderError, django's OperationalError.
    """
    try:
        _embed(lease)
    except LeaseLostError as error:
        logger.info("%s", error)
    except ModelLoadError as error:
        leases.release_lease(lease, error=str(error))
        planning.pause_run(lease.run_id, reason=str(error))
        logger.error("run %d is paused: %s", lease.run_id, error)  # noqa: TRY400  the message says all
    except (TransientEncoderError, OperationalError, InterfaceError):
        raise
    except Exception as error:
        logger.exception("chunk %d failed", lease.chunk_id)
        leases.fail_attempt(lease, error=f"{type(error).__name__}: {error}")


def _embed(lease: Lease) -> None:
    """Encodes the chunk's texts and puts the vectors into the ledger.

    A text that cannot be encoded becomes a dead letter; all others go on.
    """
    started = time.monotonic()
    texts, known = reading.read_texts(lease)
    embedded = [
        Embedded(content_hash, known[content_hash], vector, reused=True)
        for content_hash, vector in reading.known_vectors(lease, list(known)).items()
    ]
    failures: list[Failure] = []
    if texts:
        heartbeat = Heartbeat(lease)
        encoder = encoder_of(version_of(lease.model))
        vectors, bad = encode_isolating(
            lambda some: encoder.encode(some, on_batch=heartbeat.beat), [each.text for each in texts]
        )
        embedded += [
            Embedded(texts[i].content_hash, texts[i].row_ids, vector) for i, vector in vectors.items()
        ]
        failures = [Failure(texts[each.index], "encode", each.error, each.traceback) for each in bad]
    ledger.store_vectors(lease, embedded, failures)
    logger.info(
        "chunk %d: %d texts for %d rows in %.1f s, %d dead",
        lease.chunk_id,
        len(texts),
        len(lease.row_ids),
        time.monotonic() - started,
        len(failures),
    )


class Heartbeat:
    """Renews a lease once a third of it has passed."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._renew_at = time.monotonic() + settings.EMBEDDING_LEASE / 3

    def beat(self) -> None:
        """Raises LeaseLostError."""
        if time.monotonic() >= self._renew_at:
            leases.renew_lease(self._lease)
            self._renew_at = time.monotonic() + settings.EMBEDDING_LEASE / 3
