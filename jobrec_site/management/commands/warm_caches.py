import logging
import os
import signal
import threading
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import close_old_connections

from apps.api.popularity import most_asked
from apps.api.requests import Asked
from apps.api.warming import Warmed, claim, generations, warm_all
from apps.caching.shared import CacheUnavailableError
from jobrec_site.statements import limit_statements

logger = logging.getLogger(__name__)

LOOK_EVERY, RETRY_EVERY = 1.0, 10.0  # seconds
REST = 3  # times what the last pass took: it works at most a quarter of the time, however often rows change
NICE = 10  # requests go first


class Command(BaseCommand):
    help = (
        "Fills the second cache level with the answers to what anonymous readers ask most: at its start, and whenever a "
        "run or an edit has invalidated them. One process is enough; further ones are harmless. Until SIGTERM or Ctrl-C."
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
    warmed_for: tuple[int, ...] = ()
    pause = LOOK_EVERY
    while not stop.wait(pause):
        pause, current = LOOK_EVERY, generations()
        if current == warmed_for:
            continue
        try:
            popular = most_asked(settings.CACHE_WARM_REQUESTS)
            if popular and claim(current):
                pause = max(LOOK_EVERY, REST * _warm(popular, stop).seconds)
        except CacheUnavailableError as error:
            pause = RETRY_EVERY
            logger.warning("nothing is warmed: %s", error)
        else:
            warmed_for = current


def _warm(popular: Sequence[Asked], stop: threading.Event) -> Warmed:
    close_old_connections()
    warmed = warm_all(popular, seconds=settings.CACHE_WARM_SECONDS, stopped=stop.is_set)
    logger.info("%d of %d answers are warm, %.1f s", warmed.held, warmed.asked, warmed.seconds)
    return warmed
