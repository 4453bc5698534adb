"""The embedding of one chunk, from the lease to the ledger."""

import logging
import os
import signal
import time
from collections.abc import Callable, Sequence

from django.db import InterfaceError, OperationalError

from apps.embeddings import chunk_ledger, leases, reading, runs
from apps.embeddings.adapters import Adapter
from apps.embeddings.chunk_ledger import EmbeddedText
from apps.embeddings.dead_letters import FailedText
from apps.embeddings.errors import LeaseLostError
from apps.embeddings.leases import Heartbeat, Lease
from apps.embeddings.models import EmbeddingModel
from apps.embeddings.reading import Text
from workers.encoding.encoder import ModelVersion, Vectors
from workers.encoding.errors import (
    EncoderBrokenError,
    InterruptedEncodingError,
    ModelLoadError,
    TransientEncoderError,
)
from workers.encoding.isolation import BadText, encode_isolating
from workers.encoding.loaded import encoder_of, hardware
from workers.encoding.subprocess_encoder import SubprocessEncoder

logger = logging.getLogger(__name__)


def version_of(model: EmbeddingModel) -> ModelVersion:
    """The model version as the encoder names it."""
    adapter = Adapter(model.adapter, model.adapter_sha256) if model.adapter else None
    return ModelVersion(model.name, model.weights, model.windows, model.dimensions, adapter)


def process(lease: Lease) -> None:
    """Embed a leased chunk and record in the ledger what happened.

    Raises temporary errors, with the lease still held for a retry: TransientEncoderError, and Django's
    OperationalError and InterfaceError.
    """
    try:
        _embed(lease)
    except LeaseLostError as error:
        logger.info("%s", error)
    except ModelLoadError as error:
        leases.release_lease(lease, error=str(error))
        runs.pause_with_backoff(lease.run_id, reason=str(error))
        logger.error("Paused run %d: %s", lease.run_id, error)  # noqa: TRY400  the message is complete
    except EncoderBrokenError as error:
        leases.release_lease(lease, error=str(error), count=True)
        logger.error("The encoder is broken, so this worker exits to be restarted: %s", error)  # noqa: TRY400
        os.kill(os.getpid(), signal.SIGTERM)
    except (TransientEncoderError, OperationalError, InterfaceError):
        raise
    except Exception as error:
        logger.exception("Cannot embed chunk %d", lease.chunk_id)
        leases.release_lease(lease, error=f"{type(error).__name__}: {error}", count=True)


def pause_after_last_retry(chunk_id: int, lease: Lease | None, *, error: str) -> None:
    """After the last retry of a temporary error, release the chunk and pause its run with a backoff.

    If the database is the part that is unavailable, nothing is recorded; the sweeper recovers the chunk
    later.
    """
    try:
        if lease is not None:
            leases.release_lease(lease, error=error)
            if runs.pause_with_backoff(lease.run_id, reason=error):
                logger.warning("Paused run %d: %s", lease.run_id, error)
    except (OperationalError, InterfaceError) as unavailable:
        logger.warning("Cannot release chunk %d, the sweeper will: %s", chunk_id, unavailable)


def _embed(lease: Lease) -> None:
    """Encode the texts of a chunk and store the vectors in the ledger.

    A text that cannot be encoded becomes a dead letter; the others get their vectors.
    """
    started = time.monotonic()
    texts, known = reading.read_texts(lease)
    embedded = [
        EmbeddedText(content_hash, known[content_hash], vector, reused=True)
        for content_hash, vector in reading.existing_vectors(lease, list(known)).items()
    ]
    failed: list[FailedText] = []
    if texts:
        vectors, bad = _encode(lease, texts)
        embedded += [
            EmbeddedText(texts[i].content_hash, texts[i].row_ids, vector) for i, vector in vectors.items()
        ]
        failed = [FailedText(texts[each.index], "encode", each.error, each.traceback) for each in bad]
    chunk_ledger.store_vectors(lease, embedded, failed)
    logger.info(
        "Embedded chunk %d: %d texts of %d rows in %.1f s, %d failed",
        lease.chunk_id,
        len(texts),
        len(lease.row_ids),
        time.monotonic() - started,
        len(failed),
    )


def _encode(lease: Lease, texts: Sequence[Text]) -> tuple[dict[int, Vectors], list[BadText]]:
    """(vectors by index, failed texts): encoded in this process, or in a subprocess for an isolated chunk.

    Raises what the heartbeat raises, such as LeaseLostError, and blames no text for it.
    """
    heartbeat = Heartbeat(lease)

    def beat() -> None:
        try:
            heartbeat.beat()
        except Exception as error:
            raise InterruptedEncodingError(error) from error

    try:
        return _encode_isolating(lease, [each.text for each in texts], beat)
    except InterruptedEncodingError as interruption:
        raise interruption.error from None


def _encode_isolating(
    lease: Lease, texts: Sequence[str], beat: Callable[[], None]
) -> tuple[dict[int, Vectors], list[BadText]]:
    version = version_of(lease.model)
    if lease.isolated:
        logger.warning("Encoding chunk %d in a subprocess, attempt %d", lease.chunk_id, lease.attempts)
        with SubprocessEncoder(version, hardware(), on_wait=beat) as subprocess_encoder:
            return encode_isolating(subprocess_encoder.encode, texts, suspect=True)
    encoder = encoder_of(version)
    return encode_isolating(lambda some: encoder.encode(some, on_batch=beat), texts)
