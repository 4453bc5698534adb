"""What the embedding server counts, for Prometheus."""

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from prometheus_client import Counter, Histogram, start_http_server

from workers.encoding.batcher import Batch

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)

BATCH_TEXTS = Histogram(
    "jobrec_embed_batch_texts", "Texts of one encode", ["role"], buckets=(*SIZES, float("inf"))
)
BATCH_CALLS = Histogram(
    "jobrec_embed_batch_calls", "Calls that shared one encode", ["role"], buckets=(*SIZES, float("inf"))
)
BATCH_WAITED = Histogram(
    "jobrec_embed_batch_waited_seconds",
    "Until the oldest call of a batch was encoded",
    ["role"],
    buckets=SECONDS,
)
EMBED_SECONDS = Histogram(
    "jobrec_embed_call_seconds", "One Embed, from its arrival to its answer", buckets=SECONDS
)
REFUSED = Counter("jobrec_embed_refused_total", "Calls that failed, by status", ["method", "code"])


def observe(batch: Batch) -> None:
    BATCH_TEXTS.labels(batch.role).observe(batch.texts)
    BATCH_CALLS.labels(batch.role).observe(batch.calls)
    BATCH_WAITED.labels(batch.role).observe(batch.waited)


def expose() -> None:
    """Serves the metrics at `EMBED_METRICS_BIND`, where it is set. Raises ImproperlyConfigured."""
    if not settings.EMBED_METRICS_BIND:
        return
    host, _, port = settings.EMBED_METRICS_BIND.rpartition(":")
    try:
        start_http_server(int(port), host or "127.0.0.1")
    except (ValueError, OSError) as error:
        raise ImproperlyConfigured(
            f"EMBED_METRICS_BIND {settings.EMBED_METRICS_BIND!r}: host:port of a free port is needed ({error})"
        ) from error
