"""The lifecycle of a model: added, filled while another one answers, active, kept for a rollback, retired."""

import logging

from django.db import connection, transaction
from django.utils import timezone
from psycopg.sql import SQL

from apps.caching.services import invalidate_on_commit
from apps.embeddings.adapters import Adapter
from apps.embeddings.errors import ModelStateError
from apps.embeddings.index import build_index, drop_index, index_exists
from apps.embeddings.kinds import TABLES, KindTables
from apps.embeddings.models import DeadLetter, EmbeddingModel, EmbeddingRun, Kind
from apps.embeddings.registry import coverage
from apps.embeddings.runs import cancel_run, request_run

logger = logging.getLogger(__name__)

DELETE_BATCH_SIZE = 10_000  # vectors in one transaction, which bounds locks and WAL


def add_model(
    name: str,
    *,
    dimensions: int,
    weights: str = "main",
    windows: int = 8,
    template: int = 1,
    adapter: Adapter | None = None,
) -> tuple[EmbeddingModel, list[EmbeddingRun]]:
    """Register a model version, or take a retired one back, and request the runs that fill it.

    The active model answers until `activate` is called. Idempotent. Raises ModelStateError if the version is
    registered with another number of dimensions.
    """
    fields = EmbeddingModel.version_fields(
        weights=weights, windows=windows, template=template, adapter=adapter
    )
    with transaction.atomic():
        model, _ = EmbeddingModel.objects.select_for_update().get_or_create(
            name=name, revision=fields["revision"], defaults={**fields, "dimensions": dimensions}
        )
        if model.dimensions != dimensions:
            raise ModelStateError(
                f"Cannot add {model} with {dimensions} dimensions: it is registered with {model.dimensions}."
            )
        if model.state == EmbeddingModel.State.RETIRED:
            model.state = EmbeddingModel.State.FILLING
            model.save(update_fields=["state"])
    return model, [request_run(kind, model, reason=f"{model} added")[0] for kind in Kind.values]


def missing_for_activation(model: EmbeddingModel) -> list[str]:
    """The reasons why `model` cannot be activated, for people; empty if there are none."""
    missing = []
    for kind in Kind.values:
        counts = coverage(model, kind)
        if not counts.is_sufficient:
            missing.append(f"{counts.pending:,} of {counts.rows:,} {kind}s have no current vector")
        if not index_exists(model, kind):
            missing.append(f"its index over {kind}s is not built")
    return missing


def activate(model: EmbeddingModel, *, force: bool = False) -> bool:
    """Let `model` answer queries and keep the former one current, for a rollback; returns whether it changed.

    One transaction: each query uses one of the two models. Raises ModelStateError for a retired model, and
    without `force` if vectors or an index are missing.
    """
    missing = [] if force or model.state == EmbeddingModel.State.ACTIVE else missing_for_activation(model)
    if missing:
        raise ModelStateError(f"Cannot activate {model}: {'; '.join(missing)}.")
    with transaction.atomic():
        locked = {each.pk: each for each in EmbeddingModel.objects.select_for_update().order_by("pk")}
        model = locked[model.pk]
        if model.state == EmbeddingModel.State.ACTIVE:
            return False
        if model.state == EmbeddingModel.State.RETIRED:
            raise ModelStateError(f"Cannot activate {model}: it is retired and has no vectors. Add it again.")
        EmbeddingModel.objects.filter(state=EmbeddingModel.State.ACTIVE).update(
            state=EmbeddingModel.State.FILLING
        )
        model.state, model.activated_at = EmbeddingModel.State.ACTIVE, timezone.now()
        model.save(update_fields=["state", "activated_at"])
        invalidate_on_commit([names.namespace for names in TABLES.values()])
    return True


def rollback() -> EmbeddingModel:
    """Let the model that answered before answer again, at once; returns it.

    Its vectors were kept current and its indexes exist. Raises ModelStateError if there is no earlier model.
    """
    previous = (
        EmbeddingModel.objects.filter(state=EmbeddingModel.State.FILLING)
        .exclude(activated_at=None)
        .order_by("-activated_at")
        .first()
    )
    if previous is None:
        raise ModelStateError("Cannot roll back: no model that answered before is still kept current.")
    activate(previous, force=True)
    return previous


def retire(model: EmbeddingModel) -> int:
    """Stop filling `model` and delete its indexes and vectors; returns the number of deleted vectors.

    Continues an interrupted call. Must not run in a transaction. Raises ModelStateError for the active model.
    """
    with transaction.atomic():
        model = EmbeddingModel.objects.select_for_update().get(pk=model.pk)
        if model.state == EmbeddingModel.State.ACTIVE:
            raise ModelStateError(f"Cannot retire {model}: it answers queries. Activate another model first.")
        model.state = EmbeddingModel.State.RETIRED
        model.save(update_fields=["state"])
    for run in EmbeddingRun.objects.unfinished().filter(model=model):
        cancel_run(run.pk)
    DeadLetter.objects.held().filter(model=model).update(state=DeadLetter.State.CLEARED)
    deleted = 0
    for names in TABLES.values():
        drop_index(model, names.kind)
        deleted += _delete_vectors(names, model)
    logger.info("Retired %s: deleted %d vectors", model, deleted)
    return deleted


def build_indexes(run_id: int) -> bool:
    """Build the missing indexes of the run's model, and activate it if no model answers yet.

    An index is built after the load, which takes a small part of the time that inserting row by row would
    take. Only a kind with nearly no pending rows gets its index. Returns False while another caller builds
    one: then call again later. Idempotent. Must not run in a transaction.
    """
    model = EmbeddingRun.objects.select_related("model").get(pk=run_id).model
    if model.state == EmbeddingModel.State.RETIRED:
        return True
    if EmbeddingModel.objects.active() is not None and all(index_exists(model, kind) for kind in Kind.values):
        return True  # after every run but the first; the coverage below reads all rows
    complete = [kind for kind in Kind.values if coverage(model, kind).is_sufficient]
    for kind in complete:
        if build_index(model, kind):
            logger.info("Built the index of %s over %ss", model, kind)
    ready = [kind for kind in complete if index_exists(model, kind)]
    if (
        len(ready) == len(Kind.values)
        and EmbeddingModel.objects.active() is None
        and activate(model, force=True)
    ):
        logger.info("%s answers queries from now on", model)
    return ready == complete


def _delete_vectors(names: KindTables, model: EmbeddingModel) -> int:
    statement = SQL(
        "DELETE FROM {embedding} WHERE ctid = ANY (ARRAY("
        "SELECT ctid FROM {embedding} WHERE model_id = %s LIMIT %s))"
    ).format(**names.sql)
    deleted = 0
    with connection.cursor() as cursor:
        while True:
            cursor.execute(statement, [model.pk, DELETE_BATCH_SIZE])
            if not cursor.rowcount:
                return deleted
            deleted += cursor.rowcount
