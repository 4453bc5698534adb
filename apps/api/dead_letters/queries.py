"""Queries that read dead letters."""

from functools import partial
from typing import Any

import graphene

from apps.api.access import require
from apps.api.connections import connection_of, page_arguments
from apps.api.dead_letters.types import DeadLetterConnection, DeadLetterFilterInput
from apps.api.fields import PER_READER, RootField
from apps.api.filters import filter_values
from apps.api.ids import bare_key, primary_key
from apps.api.inputs import checked_text
from apps.api.paging import Order, moment, page_of_rows
from apps.embeddings.models import DeadLetter
from apps.embeddings.models.ledger import DeadLetterQuerySet
from apps.records.counting import count_rows

MAX_ERROR_CHARACTERS = 1_000  # of the text that is searched for
NEWEST = Order("newest", "created_at", moment)


def selected(given: dict[str, Any] | None) -> DeadLetterQuerySet:
    """The dead letters that match a DeadLetterFilter; only open ones unless it has ids or a state.

    Raises BadInputError.
    """
    values = filter_values(given)
    letters = DeadLetter.objects.select_related("model")
    if "ids" in values:
        keys = [primary_key(value, of="DeadLetter", argument="filter.ids") for value in values["ids"]]
        letters = letters.filter(pk__in=keys)
    if "state" in values or "ids" not in values:
        letters = letters.filter(state=values.get("state", DeadLetter.State.OPEN))
    if "kind" in values:
        letters = letters.filter(kind=values["kind"])
    if "row_id" in values:
        letters = letters.filter(row_id=bare_key(values["row_id"], argument="filter.rowId"))
    if "run_id" in values:
        letters = letters.filter(
            run_id=primary_key(values["run_id"], of="EmbeddingRun", argument="filter.runId")
        )
    if "error" in values:
        error = checked_text(values["error"], argument="filter.error", max_characters=MAX_ERROR_CHARACTERS)
        letters = letters.filter(error__icontains=error)
    return letters


class DeadLetterQueries(graphene.ObjectType):
    """The queries of this module, as a part of the schema's Query."""

    dead_letters = RootField(
        DeadLetterConnection,
        cost=0,
        reads=PER_READER,
        filter=DeadLetterFilterInput(description="Conditions that the dead letters must meet"),
        **page_arguments(),
        required=True,
        description="Rows that could not be embedded, newest first. For users who may see dead letters.",
    )

    @staticmethod
    def resolve_dead_letters(
        _root: None,
        info: Any,
        filter: dict[str, Any] | None = None,  # noqa: A002  named by the schema
        first: int | None = None,
        after: str | None = None,
    ) -> Any:
        require(info, "embeddings.view_deadletter")
        letters = selected(filter)
        page = page_of_rows(letters, NEWEST, first=first, after=after)
        return connection_of(page, DeadLetterConnection, count=partial(count_rows, letters))
