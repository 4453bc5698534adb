"""Relay connections with a total count."""

from collections.abc import Callable
from typing import Any

import graphene
from graphene import relay

from apps.api.paging import Page
from apps.records.counting import Count


class CountedConnection(relay.Connection):
    """A connection that knows how many rows all its pages have together.

    An instance needs an attribute `count`: a Count, or a function that returns one, which is called only if a
    client selects the total.
    """

    class Meta:
        abstract = True

    total_count = graphene.Int(required=True, description="Number of rows on all pages together")
    total_count_is_estimate = graphene.Boolean(
        required=True, description="True if totalCount is an estimate, which happens for very long lists"
    )

    @staticmethod
    def resolve_total_count(root: Any, _info: Any) -> int:
        return _count(root).rows

    @staticmethod
    def resolve_total_count_is_estimate(root: Any, _info: Any) -> bool:
        return _count(root).is_estimate


def _count(root: Any) -> Count:
    if not isinstance(root.count, Count):
        root.count = root.count()
    counted: Count = root.count
    return counted


def page_arguments() -> dict[str, Any]:
    """The arguments of a field that returns a connection."""
    return {
        "first": graphene.Int(description="Size of the page, at most 100; 20 by default"),
        "after": graphene.String(description="Cursor of the row after which the page starts"),
    }


def connection_of(page: Page, connection: Any, *, count: Callable[[], Count]) -> Any:
    """A CountedConnection of the type `connection` with the nodes of a page."""
    edges = [
        connection.Edge(node=node, cursor=cursor)
        for node, cursor in zip(page.items, page.cursors, strict=True)
    ]
    filled = connection(edges=edges, page_info=page_info(page))
    filled.count = count
    return filled


def page_info(page: Page) -> relay.PageInfo:
    """Relay's PageInfo of a page."""
    return relay.PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=page.cursors[0] if page.cursors else None,
        end_cursor=page.cursors[-1] if page.cursors else None,
    )
