"""The copies of the postings of one page, read only if a request asks for them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import QuerySet

from apps.recommendations.copies import alternatives

MAX_ALTERNATIVES = 10  # copies of a posting that an answer shows


@dataclass
class PageAlternatives:
    """The copies of the postings `row_ids` among `matching`; two statements, however many the rows are."""

    row_ids: Sequence[int]
    matching: QuerySet[Any]
    for_nodes: Callable[[QuerySet[Any]], QuerySet[Any]]

    @cached_property
    def _keys(self) -> dict[int, list[int]]:
        return alternatives(self.row_ids, self.matching)

    @cached_property
    def _nodes(self) -> dict[int, Any]:
        shown = [key for keys in self._keys.values() for key in keys[:MAX_ALTERNATIVES]]
        return self.for_nodes(self.matching.order_by()).in_bulk(shown)

    def of(self, row_id: int) -> list[int]:
        """Return the keys of the copies of a posting, the newest first."""
        return self._keys.get(row_id, [])

    def nodes_of(self, row_id: int) -> list[Any]:
        """Return the first MAX_ALTERNATIVES copies of a posting, ready for their nodes."""
        keys = self.of(row_id)[:MAX_ALTERNATIVES]
        return [self._nodes[key] for key in keys if key in self._nodes]
