"""Model versions: the first one, from the settings, those that are filled, and how complete each is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection
from psycopg.sql import SQL

from apps.embeddings.adapters import find_adapter
from apps.embeddings.errors import ModelStateError
from apps.embeddings.kinds import tables
from apps.embeddings.models import EmbeddingModel
from apps.sql import load


@dataclass(frozen=True)
class Coverage:
    """Numbers of rows of one kind: all, with a current vector of the model, held back by a dead letter."""

    kind: str
    rows: int
    current: int
    dead: int

    @property
    def pending(self) -> int:
        """Rows that the next run will embed."""
        return self.rows - self.current - self.dead

    @property
    def percent(self) -> float:
        """Share of rows with a current vector, in percent; 100 if there are no rows."""
        return 100 * self.current / self.rows if self.rows else 100.0

    @property
    def is_sufficient(self) -> bool:
        """Whether enough rows have vectors for the model to be activated (`settings.MODEL_COVERAGE`)."""
        return self.pending <= (1 - float(settings.MODEL_COVERAGE)) * self.rows


def default_model() -> EmbeddingModel:
    """The model version of the settings, registered if it is new. Safe to call twice at once.

    Raises ModelStateError if the adapter of the settings cannot be read.
    """
    fields = configured_version()
    model, _ = EmbeddingModel.objects.get_or_create(
        name=settings.EMBEDDING_MODEL,
        revision=fields["revision"],
        defaults={**fields, "dimensions": settings.EMBEDDING_DIMENSIONS},
    )
    return model


def configured_version() -> dict[str, Any]:
    """The fields of the settings' model that its revision names, and the revision.

    Raises ModelStateError if the adapter of the settings cannot be read.
    """
    return EmbeddingModel.version_fields(
        weights=settings.EMBEDDING_WEIGHTS,
        windows=settings.EMBEDDING_WINDOWS,
        adapter=find_adapter(settings.EMBEDDING_ADAPTER, settings.EMBEDDING_MODEL),
    )


def models_to_fill() -> list[EmbeddingModel]:
    """Models whose vectors are kept current; the model of the settings if none is registered."""
    return list(EmbeddingModel.objects.filled()) or [default_model()]


def find_model(name: str) -> EmbeddingModel:
    """The version called NAME or NAME@REVISION. Raises ModelStateError for none and for several."""
    wanted, _, revision = name.partition("@")
    found = EmbeddingModel.objects.filter(name=wanted)
    if revision:
        found = found.filter(revision=revision)
    models = list(found[:2])
    if len(models) == 1:
        return models[0]
    if models:
        versions = ", ".join(str(each) for each in found)
        raise ModelStateError(f"Model {name} has several versions. Name one of {versions}.")
    known = ", ".join(str(each) for each in EmbeddingModel.objects.all()) or "none"
    raise ModelStateError(f"No model {name} is registered. Registered: {known}.")


def coverage(model: EmbeddingModel, kind: str) -> Coverage:
    """Coverage of one model, in one query over all rows of `kind`."""
    return coverage_of([model], kind)[model.pk]


def coverage_of(models: Sequence[EmbeddingModel], kind: str) -> dict[int, Coverage]:
    """Coverage of each model, by primary key, in one query that reads the rows once for each model."""
    return _coverage(
        SQL("SELECT unnest(%(models)s::bigint[])"), kind, {"models": [model.pk for model in models]}
    )


def active_coverage(kind: str) -> Coverage | None:
    """Coverage of the active model, in one query; None if no model is active."""
    active = SQL("SELECT id FROM embeddings_embeddingmodel WHERE state = %(state)s")
    return next(iter(_coverage(active, kind, {"state": EmbeddingModel.State.ACTIVE.value}).values()), None)


def _coverage(models: SQL, kind: str, parameters: dict[str, Any]) -> dict[int, Coverage]:
    """Coverage by primary key of the models that the query `models` selects."""
    names = tables(kind)
    statement = load(__file__, "coverage").format(**names.sql, models=models)
    with connection.cursor() as cursor:
        cursor.execute(statement, {"kind": names.kind.value, **parameters})
        return {pk: Coverage(names.kind.value, *counts) for pk, *counts in cursor.fetchall()}
