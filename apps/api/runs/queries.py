"""Queries that read embedding runs."""

from functools import partial
from typing import Any

import graphene

from apps.api.access import require
from apps.api.connections import connection_of, page_arguments
from apps.api.enums import KindEnum, enum_value
from apps.api.fields import PER_READER, RootField
from apps.api.paging import Order, moment, page_of_rows
from apps.api.runs.types import EmbeddingRunConnection
from apps.embeddings.models import EmbeddingRun
from apps.records.counting import count_rows

LATEST = Order("latest", "created_at", moment)


class RunQueries(graphene.ObjectType):
    """The queries of this module, as a part of the schema's Query."""

    embedding_runs = RootField(
        EmbeddingRunConnection,
        cost=0,
        reads=PER_READER,
        **page_arguments(),
        kind=KindEnum(description="Only runs over this kind of rows"),
        required=True,
        description="Embedding runs, latest first. For users who may see runs.",
    )

    @staticmethod
    def resolve_embedding_runs(
        _root: None, info: Any, kind: Any = None, first: int | None = None, after: str | None = None
    ) -> Any:
        require(info, "embeddings.view_embeddingrun")
        runs = EmbeddingRun.objects.all()
        if kind is not None:
            runs = runs.filter(kind=enum_value(kind))
        rows = runs.select_related("model").with_progress()
        page = page_of_rows(rows, LATEST, first=first, after=after)
        return connection_of(page, EmbeddingRunConnection, count=partial(count_rows, runs))
