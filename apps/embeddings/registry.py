"""Model versions: the first one from the settings, which are kept current, how complete each is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection

from apps.embeddings.errors import ModelStateError
from apps.embeddings.kinds import tables
from apps.embeddings.models import EmbeddingModel


@dataclass(frozen=True)
class Coverage:
    """Rows of one kind: all, those with a current vector of the model, those that a dead letter holds for it."""

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

    @property
    def is_sufficient(self) -> bool:
        """Whether so few rows are missing that the model may serve: the rest follows as edits do."""
        return self.pending <= (1 - float(settings.MODEL_COVERAGE)) * self.rows


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


def find_model(name: str) -> EmbeddingModel:
    """The version called NAME or NAME@REVISION. Raises ModelStateError where none is, or several are."""
    wanted, _, revision = name.partition("@")
    found = EmbeddingModel.objects.filter(name=wanted)
    if revision:
        found = found.filter(revision=revision)
    models = list(found[:2])
    if len(models) == 1:
        return models[0]
    if models:
        versions = ", ".join(str(each) for each in found)
        raise ModelStateError(f"{name} has several versions, name one: {versions}")
    known = ", ".join(str(each) for each in EmbeddingModel.objects.all()) or "none yet"
    raise ModelStateError(f"there is no model {name}; there are: {known}")


def coverage(model: EmbeddingModel, kind: str) -> Coverage:
    """Counts over all rows of `kind`, one query."""
    return coverage_of([model], kind)[model.pk]


def coverage_of(models: Sequence[EmbeddingModel], kind: str) -> dict[int, Coverage]:
    """Coverage of each model, by primary key; one query, which reads the rows once for each model."""
    return _coverage("SELECT unnest(%(models)s::bigint[])", kind, {"models": [model.pk for model in models]})


def active_coverage(kind: str) -> Coverage | None:
    """Coverage of the model that answers, None before there is one; one query."""
    active = "SELECT id FROM embeddings_embeddingmodel WHERE state = %(state)s"
    return next(iter(_coverage(active, kind, {"state": EmbeddingModel.State.ACTIVE.value}).values()), None)


def _coverage(models: str, kind: str, parameters: dict[str, Any]) -> dict[int, Coverage]:
    """`models`: SQL that selects their primary keys."""
    names = tables(kind)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH held AS (
                SELECT DISTINCT model_id, row_id, content_hash FROM embeddings_deadletter
                WHERE kind = %(kind)s AND state IN ('open', 'discarded')
            )
            SELECT model.id, count(record.id), count(embedding.model_id),
                   count(held.row_id) FILTER (WHERE embedding.model_id IS NULL)
            FROM ({models}) AS model(id)
            LEFT JOIN {names.record} AS record ON true
            LEFT JOIN {names.embedding} AS embedding ON embedding.{names.key} = record.id
                AND embedding.model_id = model.id AND embedding.content_hash = record.content_hash
            LEFT JOIN held ON held.row_id = record.id AND held.model_id = model.id
                AND held.content_hash = record.content_hash
            GROUP BY model.id
            """,
            {"kind": names.kind.value, **parameters},
        )
        return {pk: Coverage(names.kind.value, *counts) for pk, *counts in cursor.fetchall()}
