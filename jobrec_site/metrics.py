"""/metrics: the sum of what all processes of a web server counted."""

import os
import shutil

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def share_counters() -> None:
    """Have the processes of this web server count in one folder, named after their parent process.

    Call it before anything is counted. Raises ImproperlyConfigured if the folder cannot be written.
    """
    folders = settings.DATA_DIR / "metrics"
    own = folders / str(os.getppid())
    try:
        own.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"Cannot create {own}, where the web processes keep their metrics: {error.strerror}. "
            "Set JOBREC_DATA_DIR to a writable folder."
        ) from error
    for folder in folders.iterdir():
        try:
            os.kill(int(folder.name), 0)
        except (ProcessLookupError, ValueError):
            shutil.rmtree(folder, ignore_errors=True)
        except PermissionError:
            pass  # a live process of another user
    os.environ[SHARED_FOLDER] = str(own)


def metrics(_request: HttpRequest) -> HttpResponse:
    """The metrics in Prometheus's text format."""
    # Imported late: the library reads PROMETHEUS_MULTIPROC_DIR when it is imported.
    from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = REGISTRY
    if SHARED_FOLDER in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
