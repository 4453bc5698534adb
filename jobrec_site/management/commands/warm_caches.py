"""The command that runs the cache warmer."""

import gc
import logging
import os
import signal
import threading
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import close_old_connections

from apps.api.popularity import popular_requests
from apps.api.request import GraphQLRequest
from apps.api.warming import WarmingResult, claim, generations, warm_all
from apps.caching import warming_ahead
from apps.caching.generations import planned_generation
from apps.caching.mirror import mirror
from apps.caching.shared import CacheUnavailableError
from apps.caching.two_level import TwoLevelCache
from apps.caching.warming_ahead import PlannedInvalidation, WarmingRequests
from apps.embeddings import hints, invalidation
from jobrec_site.statements import limit_statements

logger = logging.getLogger(__name__)

POLL, RETRY = 1.0, 10.0  # seconds
REST = 3  # times the duration of the last pass: the warmer works a quarter of the time at most
NICENESS = 10  # requests go first


class Command(BaseCommand):
    """Run the cache warmer."""

    help = (
        "Fill the second cache level with the responses to the most popular anonymous requests: at the "
        "start, before a run invalidates them, and after an edit has. One process is enough; more do no "
        "harm. Until SIGTERM or Ctrl-C."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="warm once and exit")

    def handle(self, *args: Any, once: bool, **options: Any) -> None:
        limit_statements()
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        if once:
            try:
                warmed = _warm(popular_requests(settings.CACHE_WARM_REQUESTS), stop)
            except CacheUnavailableError as error:
                raise CommandError(f"The shared cache does not answer: {error}") from error
            self.stdout.write(
                f"{warmed.cached} of {warmed.requests} responses are warm, {warmed.seconds:.1f} s"
            )
        elif settings.CACHE_WARM_REQUESTS:
            os.nice(NICENESS)
            _warm_until(stop)
        else:
            self.stdout.write("Nothing to warm: CACHE_WARM_REQUESTS is 0")
            stop.wait()


def _warm_until(stop: threading.Event) -> None:
    requests = WarmingRequests()
    warmed_for: tuple[int, ...] = ()
    rested_at = 0.0
    while not stop.is_set():
        try:
            planned = requests.next(timeout=POLL)
            if planned is not None:
                _warm_ahead(planned, stop)
                continue
            current = generations()
            if current == warmed_for or time.monotonic() < rested_at:
                continue
            popular = popular_requests(settings.CACHE_WARM_REQUESTS)
            if popular and claim(current):
                rested_at = REST * _warm(popular, stop).seconds + time.monotonic()
        except CacheUnavailableError as error:
            logger.warning("Cannot warm: %s", error)
            stop.wait(RETRY)
        else:
            warmed_for = current
    requests.close()


def _warm_ahead(planned: PlannedInvalidation, stop: threading.Event) -> None:
    """Warm popular responses ahead of an invalidation, then have the run invalidate at once."""
    if not warming_ahead.claim(planned):
        return
    generation = planned_generation()
    with mirror.planned_generations(dict.fromkeys(planned.tags, generation)):
        _warm(popular_requests(settings.CACHE_WARM_REQUESTS), stop, purpose=f"for {planned.run_id} ")
    warming_ahead.finish(planned, generation)
    run_id = invalidation.run_of(planned.run_id)
    if run_id is not None:
        hints.invalidate_soon(run_id)


def _warm(popular: Sequence[GraphQLRequest], stop: threading.Event, *, purpose: str = "") -> WarmingResult:
    close_old_connections()
    warmed = warm_all(popular, seconds=settings.CACHE_WARM_SECONDS, stopped=stop.is_set)
    logger.info(
        "%d of %d responses %sare warm, %.1f s", warmed.cached, warmed.requests, purpose, warmed.seconds
    )
    TwoLevelCache.clear_every_l1()
    gc.collect()  # executed queries leave reference cycles, and the process is idle now
    return warmed
