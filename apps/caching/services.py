"""Invalidation by the web tier itself, after its own writes: directly in Redis, without gRPC."""

import logging
from collections.abc import Iterable

from django.db import transaction

from apps.caching import generations, tags
from apps.caching.mirror import mirror
from apps.caching.shared import CacheUnavailableError

logger = logging.getLogger(__name__)


def invalidate_on_commit(namespaces: Iterable[str], ids: Iterable[int] = (), *, lists: bool = True) -> None:
    """Invalidate cached responses about the rows in every web process, once the current transaction commits.

    Empty `ids` means every row of the namespaces. Without `lists`, responses that list a whole namespace stay
    cached: for a change that only concerns responses about the rows themselves. If Redis is unavailable that
    is logged and not raised, since the write succeeded: the TTL then bounds staleness.
    """
    changed = tags.changed(namespaces, ids, lists=lists)

    def increment_now() -> None:
        try:
            incremented, _ = generations.increment_tags(changed)
        except CacheUnavailableError as error:
            logger.warning(
                "Cannot invalidate %s: %s. The TTL bounds how stale responses get.", changed, error
            )
        else:
            mirror.learn(incremented)  # at once, without waiting for this process's own subscription

    transaction.on_commit(increment_now)
