"""Filling the second cache level before anybody asks: with what anonymous readers asked most."""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.conf import settings

from apps.api.cache import warm
from apps.api.document import InvalidDocumentError
from apps.api.errors import ApiError
from apps.api.request import GraphQLRequest
from apps.caching import shared, tags
from apps.caching.mirror import mirror

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Warmed:
    """`held` of the `asked` answers are in the cache now; the others have errors, or there was no more time."""

    asked: int
    held: int
    seconds: float


def generations() -> tuple[int, ...]:
    """Changes whenever answers over whole namespaces are invalidated. No round trip while Redis is there."""
    return mirror.of(tag for namespace in sorted(tags.NAMESPACES) for tag in tags.of_list(namespace))


def claim(current: tuple[int, ...]) -> bool:
    """Whether it is this process, of those of all hosts, that warms for these generations. Raises CacheUnavailableError."""
    key = f"jobrec:warmed:{'-'.join(map(str, current))}"
    # What is warmed lives no longer than the claim: who starts after that finds something to do.
    return bool(shared.write(lambda redis: redis.set(key, "1", nx=True, ex=settings.CACHE_L2_TTL)))


def warm_all(popular: Iterable[GraphQLRequest], *, seconds: float, stopped: Callable[[], bool]) -> Warmed:
    """Answers one request after the other until `seconds` are over. What cannot be answered is left out."""
    started = time.monotonic()
    asked = held = 0
    for request in popular:
        asked += 1
        if stopped() or time.monotonic() - started > seconds:
            continue
        try:
            held += warm(request)
        except (ApiError, InvalidDocumentError) as error:
            logger.debug("not warmed: %s", type(error).__name__)
    return Warmed(asked, held, time.monotonic() - started)
