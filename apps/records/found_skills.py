"""Find skills again in the texts of stored rows, after the dictionary has changed."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import transaction

from apps.caching.services import invalidate_on_commit
from apps.records.stored_markup import MarkupTable, write_found_skills

BATCH = 500


@dataclass
class RefreshResult:
    """Counts of rows: those read, those whose found skills changed, and the key of the last one read."""

    read: int = 0
    changed: int = 0
    last: int = 0


def refresh_found_skills(table: MarkupTable, *, after: int = 0) -> Iterator[RefreshResult]:
    """Find the skills of all rows with keys above `after`; yield the counts after each batch. Idempotent.

    Each batch is one transaction, and invalidates the caches that show its rows. So a stopped refresh goes on
    from the last key that was yielded. Skills that a source states stay.
    """
    result = RefreshResult(last=after)
    keys = table.model._default_manager.order_by("pk").values_list("pk", flat=True)
    while ids := list(keys.filter(pk__gt=result.last)[:BATCH]):
        with transaction.atomic():
            # The order in which imports lock rows, so that neither can block the other for good.
            rows = table.model._default_manager.filter(pk__in=ids).order_by("source", "external_id")
            locked = list(rows.select_for_update(no_key=True, of=("self",)))
            changed = write_found_skills(table, locked)
            if changed:
                invalidate_on_commit([table.namespace], sorted(changed))
        result.read += len(locked)
        result.changed += len(changed)
        result.last = ids[-1]
        yield result
