"""Queries that read candidates."""

from typing import Any

import graphene

from apps.api.access import require, require_for_candidate
from apps.api.candidates.types import CandidateConnection, CandidateFilterInput, CandidateNode
from apps.api.connections import page_arguments
from apps.api.fields import LIST_COST, PER_READER, RootField
from apps.api.ids import primary_key
from apps.api.records import CANDIDATES, order_enum
from apps.api.translation import translated
from apps.candidates.models import Candidate

VIEW_CANDIDATES = "candidates.view_candidate"

CandidateOrder = order_enum(
    "CandidateOrder", CANDIDATES, "Order of candidates. Equal ones follow by age, newest first."
)


class CandidateQueries(graphene.ObjectType):
    """The queries of this module, as a part of the schema's Query."""

    candidate = RootField(
        CandidateNode,
        cost=0,
        reads=PER_READER,
        id=graphene.ID(required=True, description="Global id or primary key of the candidate"),
        description="One candidate, null if it does not exist. For recruiters, and for the candidate itself.",
    )
    candidates = RootField(
        CandidateConnection,
        cost=LIST_COST,
        reads=PER_READER,
        filter=CandidateFilterInput(description="Conditions that the candidates must meet"),
        order_by=CandidateOrder(default_value=CANDIDATES.default_order, description="Order of the list"),
        **page_arguments(),
        required=True,
        description="Candidates, page by page. For recruiters.",
    )

    @staticmethod
    def resolve_candidate(_root: None, info: Any, id: str) -> Candidate | None:  # noqa: A002  named by the schema
        key = primary_key(id, of="Candidate", argument="id")
        require_for_candidate(info, key, VIEW_CANDIDATES)
        candidate: Candidate | None = CANDIDATES.node(key)
        return candidate

    @staticmethod
    @translated
    def resolve_candidates(_root: None, info: Any, **arguments: Any) -> Any:
        require(info, VIEW_CANDIDATES)
        return CANDIDATES.page(CandidateConnection, **arguments)
