"""Model versions: the first one from the settings, which one answers, how complete each is."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from apps.caching.services import invalidate_on_commit
from apps.embeddings.errors import ModelStateError
from apps.embeddings.kinds import TABLES, tables
from apps.embeddings.models import EmbeddingModel


@dataclass(frozen=True)
class Coverage:
    """Rows of one kind: all, those with a current vector of the model, those with an open dead letter for it."""

    kind: str
    rows: int
    current: int
    dead: int

    @property
    def pending(self) -> int:
        return self.rows - self.current - self.dead

    @property
    def percent(self) -> float:
        return 100 * self.current / self.rows if self.rows else 100.0


def default_model() -> EmbeddingModel:
    """The model version that the settings name, registered where it is new. Safe to run twice at once."""
    model, _ = EmbeddingModel.objects.get_or_create(
        name=settings.EMBEDDING_MODEL,
        revision=EmbeddingModel.revision_of(
            weights=settings.EMBEDDING_WEIGHTS, windows=settings.EMBEDDING_WINDOWS
        ),
        defaults={
            "weights": settings.EMBEDDING_WEIGHTS,
            "windows": settings.EMBEDDING_WINDOWS,
            "dimensions": settings.EMBEDDING_DIMENSIONS,
        },
    )
    return model


def models_to_fill() -> list[EmbeddingModel]:
    """Models whose vectors are to be kept current; the one of the settings where none is registered yet."""
    return list(EmbeddingModel.objects.filled()) or [default_model()]


def coverage(model: EmbeddingModel, kind: str) -> Coverage:
    """Counts over all rows of `kind`, one query."""
    return coverage_of([model], kind)[model.pk]


def coverage_of(models: Sequence[EmbeddingModel], kind: str) -> dict[int, Coverage]:
    """Coverage of each model, by primary key; one query, which reads the rows once for each model."""
    names = tables(kind)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT model.id, count(record.id), count(embedding.model_id),
                   count(dead.id) FILTER (WHERE embedding.model_id IS NULL)
            FROM unnest(%(models)s::bigint[]) AS model(id)
            LEFT JOIN {names.record} AS record ON true
            LEFT JOIN {names.embedding} AS embedding ON embedding.{names.key} = record.id
                AND embedding.model_id = model.id AND embedding.content_hash = record.content_hash
            LEFT JOIN embeddings_deadletter AS dead ON dead.kind = %(kind)s AND dead.row_id = record.id
                AND dead.model_id = model.id AND dead.state = 'open' AND dead.content_hash = record.content_hash
            GROUP BY model.id
            """,
            {"models": [model.pk for model in models], "kind": names.kind.value},
        )
        return {pk: Coverage(names.kind.value, *counts) for pk, *counts in cursor.fetchall()}


@transaction.atomic
def activate(model: EmbeddingModel) -> bool:
    """Makes `model` answer queries from now on, and the former one a model that is still kept current.

    Returns whether anything changed. Raises ModelStateError for a retired model.
    """
    locked = list(EmbeddingModel.objects.select_for_update().order_by("pk"))
    model = next(candidate for candidate in locked if candidate.pk == model.pk)
    if model.state == EmbeddingModel.State.ACTIVE:
        return False
    if model.state == EmbeddingModel.State.RETIRED:
        raise ModelStateError(f"{model} is retired: its vectors are gone, add it again")
    EmbeddingModel.objects.filter(state=EmbeddingModel.State.ACTIVE).update(
        state=EmbeddingModel.State.FILLING
    )
    model.state, model.activated_at = EmbeddingModel.State.ACTIVE, timezone.now()
    model.save(update_fields=["state", "activated_at"])
    invalidate_on_commit([names.namespace for names in TABLES.values()])
    return True
