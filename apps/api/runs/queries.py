from typing import Any

import graphene
from django.db.models import QuerySet

from apps.api.access import require
from apps.api.paging import page_size
from apps.api.runs.types import EmbeddingRunNode
from apps.embeddings.models import EmbeddingRun


class RunQueries(graphene.ObjectType):
    embedding_runs = graphene.List(
        graphene.NonNull(EmbeddingRunNode),
        first=graphene.Int(description="At most so many, up to 100; 20 by default"),
        required=True,
        description="The latest runs. For users who may see runs.",
    )

    @staticmethod
    def resolve_embedding_runs(_root: None, info: Any, first: int | None = None) -> QuerySet[EmbeddingRun]:
        require(info, "embeddings.view_embeddingrun")
        return EmbeddingRun.objects.select_related("model")[: page_size(first)]
