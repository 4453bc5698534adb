import logging
import os
from argparse import ArgumentParser
from typing import Any

from celery.signals import worker_ready
from django.conf import settings
from django.core.management.base import BaseCommand

from apps.embeddings import leases
from workers.app import app

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Runs a Celery worker: `embed` holds the model, `write` does the rest. Until SIGTERM or Ctrl-C."
    requires_system_checks = ()  # they load all that serves HTTP

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("role", choices=["embed", "write"])
        parser.add_argument(
            "--name",
            default="",
            help="worker name before the @, one for each worker of a host (default: the role)",
        )
        parser.add_argument("--concurrency", type=int, default=0, help="threads (default: by the hardware)")
        parser.add_argument("--log-level", default="INFO")

    def handle(self, *args: Any, role: str, **options: Any) -> None:
        options_of_role = _embed() if role == "embed" else _write()
        name = options["name"] or role
        if role == "embed":
            worker_ready.connect(_free_former_leases, weak=False)
        concurrency = options["concurrency"] or options_of_role["concurrency"]
        app.worker_main(
            [
                "worker",
                f"--queues={options_of_role['queues']}",
                # Threads: CUDA does not survive a fork, and a forked child per core would hold a model each.
                "--pool=threads",
                f"--concurrency={concurrency}",
                f"--hostname={name}@%h",
                f"--loglevel={options['log_level']}",
                # Workers tell each other nothing: what they share is the ledger. Flower needs only the heartbeats.
                "--without-mingle",
                "--without-gossip",
            ]
        )


def _free_former_leases(sender: Any, **_: Any) -> None:
    """What a worker of this name held when it was killed need not wait for its lease to run out."""
    freed = leases.free_leases_of(sender.hostname)
    if freed:
        logger.warning("freed %d chunks that an earlier %s had in hand", freed, sender.hostname)


def _embed() -> dict[str, Any]:
    # Torch on a CPU prepares each multiplication for its very shape and keeps a thousand of them. Batches of documents
    # hardly ever have the shape of an earlier one: kept, they are memory that grows for hours and gains nothing.
    for cache in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(cache, "64")
    from workers.encoding.loaded import hardware

    if hardware().device == "cpu":
        os.nice(settings.EMBEDDING_NICE)
        if settings.EMBEDDING_IDLE and hasattr(os, "SCHED_IDLE"):  # Linux
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        if settings.EMBEDDING_CORES and hasattr(os, "sched_setaffinity"):  # Linux
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-settings.EMBEDDING_CORES :])
    # One thread more than compute at a time: it reads the next chunk, or stores the last, while the others encode.
    return {"queues": "embed", "concurrency": hardware().slots + 1}


def _write() -> dict[str, Any]:
    # Two write waves, a third is free for control tasks while an index is being built.
    return {"queues": "write,control", "concurrency": 3}
