"""Prometheus metrics of the embedding server."""

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from prometheus_client import Counter, Histogram, start_http_server

from workers.encoding.batcher import Batch

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)

BATCH_TEXTS = Histogram(
    "jobrec_embed_batch_texts", "Texts in one encode", ["role"], buckets=(*SIZES, float("inf"))
)
BATCH_CALLS = Histogram(
    "jobrec_embed_batch_calls", "Calls in one encode", ["role"], buckets=(*SIZES, float("inf"))
)
BATCH_WAITED = Histogram(
    "jobrec_embed_batch_waited_seconds",
    "Seconds that the oldest call of a batch waited",
    ["role"],
    buckets=SECONDS,
)
EMBED_SECONDS = Histogram(
    "jobrec_embed_call_seconds", "Seconds from the arrival of an Embed call to its answer", buckets=SECONDS
)
REFUSED = Counter("jobrec_embed_refused_total", "Failed calls by gRPC status", ["method", "code"])


def observe(batch: Batch) -> None:
    """Record one encode."""
    BATCH_TEXTS.labels(batch.role).observe(batch.texts)
    BATCH_CALLS.labels(batch.role).observe(batch.calls)
    BATCH_WAITED.labels(batch.role).observe(batch.waited)


def expose() -> None:
    """Serve the metrics at `EMBED_METRICS_BIND` if it is set. Raises ImproperlyConfigured."""
    if not settings.EMBED_METRICS_BIND:
        return
    host, _, port = settings.EMBED_METRICS_BIND.rpartition(":")
    try:
        start_http_server(int(port), host or "127.0.0.1")
    except (ValueError, OSError) as error:
        raise ImproperlyConfigured(
            f"Cannot serve metrics at EMBED_METRICS_BIND={settings.EMBED_METRICS_BIND}: {error}. "
            "Set host:port of a free port, or leave it empty."
        ) from error
