from typing import Any

import graphene

from apps.api.access import require
from apps.api.connections import connection_of
from apps.api.enums import DeadLetterStateEnum, KindEnum
from apps.api.paging import Order, moment, page_of_rows
from apps.api.runs.types import DeadLetterConnection, EmbeddingRunConnection
from apps.embeddings.models import DeadLetter, EmbeddingRun

LATEST = Order("latest", "created_at", moment)
FIRST = graphene.Int(description="Size of the page, at most 100; 20 by default")
AFTER = graphene.String(description="Cursor to go on after")


class RunQueries(graphene.ObjectType):
    embedding_runs = graphene.Field(
        EmbeddingRunConnection,
        kind=KindEnum(description="Runs over this kind alone"),
        first=FIRST,
        after=AFTER,
        required=True,
        description="Runs, the latest first. For users who may see runs.",
    )
    dead_letters = graphene.Field(
        DeadLetterConnection,
        kind=KindEnum(description="Of this kind alone"),
        state=DeadLetterStateEnum(description="In this state alone"),
        first=FIRST,
        after=AFTER,
        required=True,
        description="Rows that could not be embedded, the latest first. For users who may see dead letters.",
    )

    @staticmethod
    def resolve_embedding_runs(
        _root: None, info: Any, kind: Any = None, first: int | None = None, after: str | None = None
    ) -> Any:
        require(info, "embeddings.view_embeddingrun")
        runs = EmbeddingRun.objects.filter(**_given(kind=kind))
        shown = runs.select_related("model").with_progress()
        page = page_of_rows(shown, LATEST, first=first, after=after)
        return connection_of(page, EmbeddingRunConnection, count=runs.count)

    @staticmethod
    def resolve_dead_letters(
        _root: None,
        info: Any,
        kind: Any = None,
        state: Any = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Any:
        require(info, "embeddings.view_deadletter")
        letters = DeadLetter.objects.filter(**_given(kind=kind, state=state))
        page = page_of_rows(letters.select_related("model"), LATEST, first=first, after=after)
        return connection_of(page, DeadLetterConnection, count=letters.count)


def _given(**values: Any) -> dict[str, Any]:
    return {name: getattr(value, "value", value) for name, value in values.items() if value is not None}
