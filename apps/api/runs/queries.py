from functools import partial
from typing import Any

import graphene

from apps.api.access import require
from apps.api.connections import connection_of
from apps.api.enums import KindEnum, enum_value
from apps.api.fields import PER_READER, RootField
from apps.api.paging import Order, moment, page_of_rows
from apps.api.runs.types import EmbeddingRunConnection
from apps.embeddings.models import EmbeddingRun
from apps.records.counting import counted

LATEST = Order("latest", "created_at", moment)
FIRST = graphene.Int(description="Size of the page, at most 100; 20 by default")
AFTER = graphene.String(description="Cursor to go on after")


class RunQueries(graphene.ObjectType):
    embedding_runs = RootField(
        EmbeddingRunConnection,
        cost=0,
        reads=PER_READER,
        kind=KindEnum(description="Runs over this kind alone"),
        first=FIRST,
        after=AFTER,
        required=True,
        description="Runs, the latest first. For users who may see runs.",
    )

    @staticmethod
    def resolve_embedding_runs(
        _root: None, info: Any, kind: Any = None, first: int | None = None, after: str | None = None
    ) -> Any:
        require(info, "embeddings.view_embeddingrun")
        runs = EmbeddingRun.objects.all()
        if kind is not None:
            runs = runs.filter(kind=enum_value(kind))
        shown = runs.select_related("model").with_progress()
        page = page_of_rows(shown, LATEST, first=first, after=after)
        return connection_of(page, EmbeddingRunConnection, count=partial(counted, runs))
