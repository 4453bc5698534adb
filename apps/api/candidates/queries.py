from functools import partial
from typing import Any

import graphene
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, QuerySet

from apps.api.access import require, require_for_candidate
from apps.api.candidates.types import CandidateConnection, CandidateFilterInput, CandidateNode
from apps.api.connections import connection_of
from apps.api.filters import filter_values
from apps.api.ids import primary_key
from apps.api.paging import LAST_ADDED, Order, moment, number, page_of_rows
from apps.api.translation import translated
from apps.candidates.models import Candidate, CandidateSkill
from apps.recommendations.services import filtered
from apps.records.counting import counted

VIEW = "candidates.view_candidate"
ORDERS = {
    "LAST_CHANGED": Order("changed", "updated_at", moment, edits_move=True),
    "MOST_EXPERIENCED": Order("experience", "experience_years", number, edits_move=True),
    "LAST_ADDED": LAST_ADDED,
}


class CandidateOrder(graphene.Enum):
    """Order of candidates. Those without the value stand last, equals by age."""

    LAST_CHANGED = "LAST_CHANGED"
    MOST_EXPERIENCED = "MOST_EXPERIENCED"
    LAST_ADDED = "LAST_ADDED"


def for_nodes(candidates: QuerySet[Candidate]) -> QuerySet[Candidate]:
    """With all that a page of nodes reads, in one statement."""
    uses = CandidateSkill.objects.filter(candidate=OuterRef("pk")).values("skill_id")
    return candidates.annotate(skill_ids=ArraySubquery(uses))


class CandidateQueries(graphene.ObjectType):
    candidate = graphene.Field(
        CandidateNode,
        id=graphene.ID(required=True, description="Global id, or primary key"),
        description="One candidate, null where there is none. For recruiters, and for the candidate itself.",
    )
    candidates = graphene.Field(
        CandidateConnection,
        filter=CandidateFilterInput(description="Narrows the list down"),
        order_by=CandidateOrder(default_value="LAST_CHANGED", description="What stands first"),
        first=graphene.Int(description="Size of the page, at most 100; 20 by default"),
        after=graphene.String(description="Cursor to go on after"),
        required=True,
        description="Candidates, page by page. For recruiters.",
    )

    @staticmethod
    def resolve_candidate(_root: None, info: Any, id: str) -> Candidate | None:  # noqa: A002  named by the schema
        key = primary_key(id, of="Candidate", argument="id")
        require_for_candidate(info, key, VIEW)
        return for_nodes(Candidate.objects.filter(pk=key)).first()

    @staticmethod
    @translated
    def resolve_candidates(
        _root: None,
        info: Any,
        filter: dict[str, Any] | None = None,  # noqa: A002  named by the schema
        order_by: Any = "LAST_CHANGED",
        first: int | None = None,
        after: str | None = None,
    ) -> Any:
        require(info, VIEW)
        rows = filtered("candidate", filter_values(filter))
        order = ORDERS[getattr(order_by, "value", order_by) or "LAST_CHANGED"]  # null is as good as nothing
        page = page_of_rows(for_nodes(rows), order, first=first, after=after)
        return connection_of(page, CandidateConnection, count=partial(counted, rows))
