"""Embedding one chunk, from the lease to the ledger."""

import logging
import os
import signal
import time
from collections.abc import Sequence

from django.db import InterfaceError, OperationalError

from apps.embeddings import leases, ledger, reading, runs
from apps.embeddings.dead_letters import Failure
from apps.embeddings.errors import LeaseLostError
from apps.embeddings.leases import Heartbeat, Lease
from apps.embeddings.ledger import Embedded
from apps.embeddings.models import EmbeddingModel
from apps.embeddings.reading import Text
from workers.encoding.encoder import ModelVersion, Vectors
from workers.encoding.errors import EncoderBrokenError, ModelLoadError, TransientEncoderError
from workers.encoding.isolation import BadText, encode_isolating
from workers.encoding.loaded import encoder_of, hardware
from workers.encoding.subprocess_encoder import SubprocessEncoder
from workers.memory import give_back

logger = logging.getLogger(__name__)


def version_of(model: EmbeddingModel) -> ModelVersion:
    return ModelVersion(model.name, model.weights, model.windows, model.dimensions)


def process(lease: Lease) -> None:
    """Embeds a leased chunk; whatever happens to it, the ledger says so.

    Raises what may pass, with the lease still held for the retry: TransientEncoderError, django's OperationalError
    and InterfaceError.
    """
    try:
        _embed(lease)
    except LeaseLostError as error:
        logger.info("%s", error)
    except ModelLoadError as error:
        leases.release_lease(lease, error=str(error))
        runs.pause_for_a_while(lease.run_id, reason=str(error))
        logger.error("run %d is paused: %s", lease.run_id, error)  # noqa: TRY400  the message says all
    except EncoderBrokenError as error:
        leases.release_lease(lease, error=str(error), count=True)
        logger.error("this worker ends, to be started afresh: %s", error)  # noqa: TRY400  the message says all
        os.kill(os.getpid(), signal.SIGTERM)
    except (TransientEncoderError, OperationalError, InterfaceError):
        raise
    except Exception as error:
        logger.exception("chunk %d failed", lease.chunk_id)
        leases.release_lease(lease, error=f"{type(error).__name__}: {error}", count=True)


def give_up_for_now(chunk_id: int, lease: Lease | None, *, error: str) -> None:
    """After the last retry of what may pass: the chunk is kept, and its run pauses for a while.

    Where the database itself is away nothing can be noted; the sweeper finds the chunk when it is back.
    """
    try:
        if lease is not None:
            leases.release_lease(lease, error=error)
            if runs.pause_for_a_while(lease.run_id, reason=error):
                logger.warning("run %d is paused: %s", lease.run_id, error)
    except (OperationalError, InterfaceError) as away:
        logger.warning("chunk %d is left to the sweeper: %s", chunk_id, away)


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
        vectors, bad = _encode(lease, texts)
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


def _encode(lease: Lease, texts: Sequence[Text]) -> tuple[dict[int, Vectors], list[BadText]]:
    """Encode in this process, or in a subprocess if the chunk has crashed workers before."""
    heartbeat = Heartbeat(lease)
    version, plain = version_of(lease.model), [each.text for each in texts]
    if lease.is_suspect:
        logger.warning(
            "chunk %d, attempt %d: encoding its texts in a subprocess", lease.chunk_id, lease.attempts
        )
        with SubprocessEncoder(version, hardware(), on_wait=heartbeat.beat) as encoder_process:
            return encode_isolating(encoder_process.encode, plain, suspect=True)
    encoder = encoder_of(version)
    try:
        return encode_isolating(lambda some: encoder.encode(some, on_batch=heartbeat.beat), plain)
    finally:
        give_back()
