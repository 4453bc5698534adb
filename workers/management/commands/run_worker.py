"""The command that runs a Celery worker."""

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
    help = "Run a Celery worker until SIGTERM or Ctrl-C: `embed` encodes texts, `write` does everything else."
    requires_system_checks = ("embeddings",)  # the other checks import the web tier

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("role", choices=["embed", "write"])
        parser.add_argument(
            "--name",
            default="",
            help="name of the worker, unique on its host (default: the role)",
        )
        parser.add_argument(
            "--concurrency", type=int, default=0, help="number of threads (default: depends on the hardware)"
        )
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
                # Threads, since CUDA does not survive a fork and each forked child would hold a copy of the
                # model.
                "--pool=threads",
                f"--concurrency={concurrency}",
                f"--hostname={name}@%h",
                f"--loglevel={options['log_level']}",
                # Workers share the ledger and need no messages between them. Flower needs only the
                # heartbeats.
                "--without-mingle",
                "--without-gossip",
            ]
        )


def _free_former_leases(sender: Any, **_: Any) -> None:
    """Free the chunks that a killed worker of this name held, so that they need not wait for their leases."""
    freed = leases.free_leases_of(sender.hostname)
    if freed:
        logger.warning("Freed %d chunks that an earlier %s had leased", freed, sender.hostname)


def _embed() -> dict[str, Any]:
    # Torch on a CPU prepares each multiplication for its very shape and keeps a thousand of them. Batches of
    # documents hardly ever have the shape of an earlier one: kept, they are memory that grows for hours and
    # gains nothing.
    for cache in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(cache, "64")
    from workers.encoding.loaded import hardware

    if hardware().device == "cpu":
        os.nice(settings.EMBEDDING_NICE)
        if settings.EMBEDDING_IDLE and hasattr(os, "SCHED_IDLE"):  # Linux
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        if settings.EMBEDDING_CORES and hasattr(os, "sched_setaffinity"):  # Linux
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-settings.EMBEDDING_CORES :])
    # One thread more than can encode at a time: it reads the next chunk, or stores the last one.
    return {"queues": "embed", "concurrency": hardware().slots + 1}


def _write() -> dict[str, Any]:
    # Two threads write, the third runs control tasks while an index is built.
    return {"queues": "write,control", "concurrency": 3}
