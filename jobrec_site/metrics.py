"""/metrics: what all processes of a web server counted, together."""

import os
import shutil

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse

TOGETHER = "PROMETHEUS_MULTIPROC_DIR"


def count_together() -> None:
    """Lets the processes of this web server count in one folder, named by their parent. Before anything is counted.

    Raises ImproperlyConfigured.
    """
    folders = settings.DATA_DIR / "metrics"
    own = folders / str(os.getppid())
    try:
        own.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"{own}: {error.strerror}. What the processes of a web server count lies there: set JOBREC_DATA_DIR to a folder "
            "that it may write to"
        ) from error
    for folder in folders.iterdir():
        try:
            os.kill(int(folder.name), 0)
        except (ProcessLookupError, ValueError):
            shutil.rmtree(folder, ignore_errors=True)
        except PermissionError:
            pass  # another user's, and alive
    os.environ[TOGETHER] = str(own)


def metrics(_request: HttpRequest) -> HttpResponse:
    # Only here: the library decides when it is loaded how it will count.
    from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    from apps.rpc.breakers import BreakerCollector

    registry = REGISTRY
    if TOGETHER in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        registry.register(BreakerCollector())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
