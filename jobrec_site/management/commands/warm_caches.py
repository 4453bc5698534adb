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

from apps.api.popularity import most_asked
from apps.api.requests import Asked
from apps.api.warming import Warmed, claim, generations, warm_all
from apps.caching import generations as generations_in_redis
from apps.caching.mirror import mirror
from apps.caching.preparing import Announcements, Upcoming, prepared, take
from apps.caching.shared import CacheUnavailableError
from apps.caching.two_level import TwoLevelCache
from jobrec_site.statements import limit_statements
from workers.memory import give_back

logger = logging.getLogger(__name__)

LOOK_EVERY, RETRY_EVERY = 1.0, 10.0  # seconds
REST = 3  # times what the last pass took: it works at most a quarter of the time, however often rows change
NICE = 10  # requests go first


class Command(BaseCommand):
    help = (
        "Fills the second cache level with the answers to what anonymous readers ask most: at its start, before a run "
        "invalidates them, and after an edit did. One process is enough; further ones are harmless. Until SIGTERM or Ctrl-C."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="once, now, and end")

    def handle(self, *args: Any, once: bool, **options: Any) -> None:
        limit_statements()
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        if once:
            try:
                warmed = _warm(most_asked(settings.CACHE_WARM_REQUESTS), stop)
            except CacheUnavailableError as error:
                raise CommandError(f"the cache does not answer: {error}") from error
            self.stdout.write(f"{warmed.held} of {warmed.asked} answers are warm, {warmed.seconds:.1f} s")
        elif settings.CACHE_WARM_REQUESTS:
            os.nice(NICE)
            _follow(stop)
        else:
            self.stdout.write("CACHE_WARM_REQUESTS is 0: nothing to do")
            stop.wait()


def _follow(stop: threading.Event) -> None:
    announcements = Announcements()
    warmed_for: tuple[int, ...] = ()
    rested_at = 0.0
    while not stop.is_set():
        try:
            upcoming = announcements.next(timeout=LOOK_EVERY)
            if upcoming is not None:
                _prepare(upcoming, stop)
                continue
            current = generations()
            if current == warmed_for or time.monotonic() < rested_at:
                continue
            popular = most_asked(settings.CACHE_WARM_REQUESTS)
            if popular and claim(current):
                rested_at = REST * _warm(popular, stop).seconds + time.monotonic()
        except CacheUnavailableError as error:
            logger.warning("nothing is warmed: %s", error)
            stop.wait(RETRY_EVERY)
        else:
            warmed_for = current
    announcements.close()


def _prepare(upcoming: Upcoming, stop: threading.Event) -> None:
    """Answers what is asked most ahead of an invalidation: then it is there when that comes."""
    if not take(upcoming):
        return
    generation = generations_in_redis.upcoming()
    with mirror.ahead(dict.fromkeys(upcoming.tags, generation)):
        _warm(most_asked(settings.CACHE_WARM_REQUESTS), stop, of=f"for {upcoming.run_id} ")
    prepared(upcoming, generation)


def _warm(popular: Sequence[Asked], stop: threading.Event, *, of: str = "") -> Warmed:
    close_old_connections()
    warmed = warm_all(popular, seconds=settings.CACHE_WARM_SECONDS, stopped=stop.is_set)
    logger.info("%d of %d answers %sare warm, %.1f s", warmed.held, warmed.asked, of, warmed.seconds)
    TwoLevelCache.clear_every_l1()
    gc.collect()  # it rests between two passes, and executed queries leave cycles behind
    give_back()
    return warmed
