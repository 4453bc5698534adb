from functools import partial
from typing import Any

import graphene
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, QuerySet

from apps.api.connections import connection_of
from apps.api.filters import filter_values
from apps.api.ids import primary_key
from apps.api.paging import LAST_ADDED, Order, moment, number, page_of_rows
from apps.api.postings.types import PostingConnection, PostingFilterInput, PostingNode
from apps.api.translation import translated
from apps.postings.models import Posting, PostingSkill
from apps.recommendations.services import filtered
from apps.records.counting import counted

ORDERS = {
    "NEWEST": Order("newest", "published_at", moment, edits_move=True),
    "HIGHEST_SALARY": Order("salary", "salary_per_year", number, edits_move=True),
    "LAST_CHANGED": Order("changed", "updated_at", moment, edits_move=True),
    "LAST_ADDED": LAST_ADDED,
}


class PostingOrder(graphene.Enum):
    """Order of postings. Those without the value stand last, equals by age."""

    NEWEST = "NEWEST"
    HIGHEST_SALARY = "HIGHEST_SALARY"
    LAST_CHANGED = "LAST_CHANGED"
    LAST_ADDED = "LAST_ADDED"


def for_nodes(postings: QuerySet[Posting]) -> QuerySet[Posting]:
    """With all that a page of nodes reads, in one statement."""
    uses = PostingSkill.objects.filter(posting=OuterRef("pk")).values("skill_id")
    return postings.select_related("company").annotate(skill_ids=ArraySubquery(uses))


class PostingQueries(graphene.ObjectType):
    posting = graphene.Field(
        PostingNode,
        id=graphene.ID(required=True, description="Global id, or primary key"),
        description="One posting, null where there is none",
    )
    postings = graphene.Field(
        PostingConnection,
        filter=PostingFilterInput(description="Narrows the list down"),
        order_by=PostingOrder(default_value="NEWEST", description="What stands first"),
        first=graphene.Int(description="Size of the page, at most 100; 20 by default"),
        after=graphene.String(description="Cursor to go on after"),
        required=True,
        description="Postings, page by page",
    )

    @staticmethod
    def resolve_posting(_root: None, _info: Any, id: str) -> Posting | None:  # noqa: A002  named by the schema
        key = primary_key(id, of="Posting", argument="id")
        return for_nodes(Posting.objects.filter(pk=key)).first()

    @staticmethod
    @translated
    def resolve_postings(
        _root: None,
        _info: Any,
        filter: dict[str, Any] | None = None,  # noqa: A002  named by the schema
        order_by: Any = "NEWEST",
        first: int | None = None,
        after: str | None = None,
    ) -> Any:
        rows = filtered("posting", filter_values(filter))
        order = ORDERS[getattr(order_by, "value", order_by) or "NEWEST"]
        page = page_of_rows(for_nodes(rows), order, first=first, after=after)
        return connection_of(page, PostingConnection, count=partial(counted, rows))
