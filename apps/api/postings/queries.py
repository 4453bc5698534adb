"""Queries that read postings."""

from typing import Any

import graphene

from apps.api.connections import page_arguments
from apps.api.fields import LIST_COST, RootField
from apps.api.ids import primary_key
from apps.api.postings.types import PostingConnection, PostingFilterInput, PostingNode
from apps.api.records import POSTINGS, order_enum
from apps.api.translation import translated
from apps.postings.models import Posting

PostingOrder = order_enum(
    "PostingOrder", POSTINGS, "Order of postings. Equal ones follow by age, newest first."
)


class PostingQueries(graphene.ObjectType):
    """The queries of this module, as a part of the schema's Query."""

    posting = RootField(
        PostingNode,
        cost=0,
        reads=("postings", "skills"),
        id=graphene.ID(required=True, description="Global id or primary key of the posting"),
        description="One posting, null if it does not exist",
    )
    postings = RootField(
        PostingConnection,
        cost=LIST_COST,
        reads=("postings", "skills"),
        filter=PostingFilterInput(description="Conditions that the postings must meet"),
        order_by=PostingOrder(default_value=POSTINGS.default_order, description="Order of the list"),
        **page_arguments(),
        required=True,
        description="Postings, page by page",
    )

    @staticmethod
    def resolve_posting(_root: None, _info: Any, id: str) -> Posting | None:  # noqa: A002  named by the schema
        posting: Posting | None = POSTINGS.node(primary_key(id, of="Posting", argument="id"))
        return posting

    @staticmethod
    @translated
    def resolve_postings(_root: None, _info: Any, **arguments: Any) -> Any:
        return POSTINGS.page(PostingConnection, **arguments)
