"""Invalidation as the web tier itself does it: right after its own writes, without a detour over gRPC."""

import logging
from collections.abc import Iterable

from django.db import transaction

from apps.caching import generations, tags
from apps.caching.mirror import mirror
from apps.caching.shared import CacheUnavailableError

logger = logging.getLogger(__name__)


def invalidate_on_commit(namespaces: Iterable[str], ids: Iterable[int] = (), *, lists: bool = True) -> None:
    """After the current transaction commits, makes every web process answer fresh about the rows.

    Without `lists`, answers over the whole namespace stay: for a change that only concerns answers about the rows.

    Where Redis is gone, this process answers fresh about nothing newer than its TTL; that is logged, not raised,
    since the write itself succeeded.
    """
    changed = tags.changed(namespaces, ids, lists=lists)

    def raise_now() -> None:
        try:
            raised, _ = generations.raise_tags(changed)
        except CacheUnavailableError as error:
            logger.warning("not invalidated, the TTL bounds staleness: %s: %s", changed, error)
        else:
            mirror.learn(raised)  # this process at once, before its own subscription hears of it

    transaction.on_commit(raise_now)
