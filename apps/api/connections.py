"""Connections as Relay defines them, with a total; and those of matches, with scores and reasons."""

from collections.abc import Callable
from typing import Any

import graphene
from graphene import relay

from apps.api.paging import Page
from apps.records.counting import Count


class CountedConnection(relay.Connection):
    class Meta:
        abstract = True

    total_count = graphene.Int(required=True, description="Rows on all pages together")
    total_count_is_estimate = graphene.Boolean(
        required=True, description="Whether totalCount is an estimate, as it may be for very long lists"
    )

    @staticmethod
    def resolve_total_count(root: Any, _info: Any) -> int:
        return _counted(root).rows

    @staticmethod
    def resolve_total_count_is_estimate(root: Any, _info: Any) -> bool:
        return _counted(root).is_estimate


def _counted(root: Any) -> Count:
    """Counted only where it is asked for, and once."""
    if not isinstance(root.count, Count):
        root.count = root.count()
    counted: Count = root.count
    return counted


def connection_of(page: Page, connection: Any, *, count: Callable[[], Count]) -> Any:
    """Fills a CountedConnection with a page of nodes."""
    edges = [
        connection.Edge(node=node, cursor=cursor)
        for node, cursor in zip(page.items, page.cursors, strict=True)
    ]
    filled = connection(edges=edges, page_info=page_info(page))
    filled.count = count
    return filled


def page_info(page: Page) -> relay.PageInfo:
    return relay.PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=page.cursors[0] if page.cursors else None,
        end_cursor=page.cursors[-1] if page.cursors else None,
    )
