"""What the resolvers of postings and candidates share; `POSTINGS` and `CANDIDATES` say what differs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import graphene
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, QuerySet

from apps.api.connections import connection_of
from apps.api.enums import enum_value
from apps.api.filters import filter_values
from apps.api.inputs import validated
from apps.api.paging import LAST_ADDED, Order, moment, number, page_of_rows
from apps.candidates.inputs import CandidateInput
from apps.candidates.models import Candidate, CandidateSkill
from apps.candidates.services import upsert_candidates
from apps.embeddings.hints import embed_soon
from apps.embeddings.models import Kind
from apps.postings.inputs import PostingInput
from apps.postings.models import Posting, PostingSkill
from apps.postings.services import upsert_postings
from apps.recommendations.services import filtered
from apps.records.counting import count_rows
from apps.records.inputs import RecordInput
from apps.records.models import Record
from apps.records.normalizing.language import detect_language
from apps.records.services import whole
from apps.skills.models import SkillUse


@dataclass(frozen=True)
class RecordApi:
    """Reads and writes the rows of one kind for the resolvers.

    `related` are foreign keys that a node reads. The first of `orders` is the default.
    """

    kind: Kind
    model: type[Record]
    skill_use: type[SkillUse]
    form: type[RecordInput]
    upsert_rows: Callable[..., Any]
    orders: Mapping[str, Order]
    related: tuple[str, ...] = ()

    @property
    def default_order(self) -> str:
        """The name of the order that a list has unless another one is asked for."""
        return next(iter(self.orders))

    def for_nodes(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """The rows with everything that their nodes read, in one statement however many they are."""
        uses = self.skill_use._default_manager.filter(**{self.kind.value: OuterRef("pk")})
        skill_ids = ArraySubquery(uses.values("skill_id"))
        ready: QuerySet[Any] = rows.select_related(*self.related).annotate(skill_ids=skill_ids)
        return ready

    def node(self, key: int) -> Any:
        """The row with this primary key, ready for its node; None if it does not exist."""
        return self.for_nodes(self.model._default_manager.filter(pk=key)).first()

    def page(
        self,
        connection: Any,
        *,
        filter: Mapping[str, Any] | None = None,  # noqa: A002  named by the schema
        order_by: Any = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Any:
        """One page of the rows that match a filter, as `connection`. Raises BadInputError and FilterError."""
        rows = filtered(self.kind, filter_values(filter))
        order = self.orders[enum_value(order_by) or self.default_order]
        page = page_of_rows(self.for_nodes(rows), order, first=first, after=after)
        return connection_of(page, connection, count=partial(count_rows, rows))

    def read_input(self, given: Mapping[str, Any]) -> RecordInput:
        """The validated argument `input` of an upsert. A language that is not stated is detected. Raises
        BadInputError."""
        form = validated(self.form, given, argument="input")
        if "language" not in form.model_fields_set:
            # The longest text first, as in imports.
            language = detect_language(" ".join(getattr(form, name) for name in reversed(form.text_fields)))
            form.language = language or form.language
        return form

    def upsert(self, form: RecordInput, *, by: str) -> tuple[Any, bool]:
        """Writes one row and asks for its embedding: the row, ready for its node, and whether it is new."""
        upserted = self.upsert_rows([whole(form)], by=by)
        if upserted.changed:
            embed_soon(self.kind)
        [key] = upserted.changed + upserted.unchanged
        return self.node(key), bool(upserted.inserted)


POSTINGS = RecordApi(
    kind=Kind.POSTING,
    model=Posting,
    skill_use=PostingSkill,
    form=PostingInput,
    upsert_rows=upsert_postings,
    orders={
        "NEWEST": Order("newest", "published_at", moment),
        "HIGHEST_SALARY": Order("salary", "salary_per_year", number),
        "LAST_CHANGED": Order("changed", "updated_at", moment),
        "LAST_ADDED": LAST_ADDED,
    },
    related=("company",),
)
CANDIDATES = RecordApi(
    kind=Kind.CANDIDATE,
    model=Candidate,
    skill_use=CandidateSkill,
    form=CandidateInput,
    upsert_rows=upsert_candidates,
    orders={
        "LAST_CHANGED": Order("changed", "updated_at", moment),
        "MOST_EXPERIENCED": Order("experience", "experience_years", number),
        "LAST_ADDED": LAST_ADDED,
    },
)

ORDER_DESCRIPTIONS = {
    "NEWEST": "Latest publication first; rows without a date last",
    "HIGHEST_SALARY": "Highest salary per year first, whatever the currency; rows without a salary last",
    "LAST_CHANGED": "Latest change first",
    "MOST_EXPERIENCED": "Most years of experience first; rows without a number of years last",
    "LAST_ADDED": "Latest addition first. No edit changes this order: use it to read every row once",
}


def order_enum(name: str, records: RecordApi, description: str) -> Any:
    """The GraphQL enum of the orders of a list."""

    def describe(member: Any) -> str:
        return description if member is None else ORDER_DESCRIPTIONS[member.value]

    return graphene.Enum(name, [(order, order) for order in records.orders], description=describe)
