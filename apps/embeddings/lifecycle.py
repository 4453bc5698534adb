"""A model's life: added, filled while another one answers, active, kept for a rollback, retired."""

import logging

from django.db import connection, transaction
from django.utils import timezone

from apps.caching.services import invalidate_on_commit
from apps.embeddings.errors import ModelStateError
from apps.embeddings.index import build_index, drop_index, index_exists
from apps.embeddings.kinds import TABLES
from apps.embeddings.models import DeadLetter, EmbeddingModel, EmbeddingRun, Kind
from apps.embeddings.registry import coverage
from apps.embeddings.runs import cancel_run, request_run

logger = logging.getLogger(__name__)

DELETED_AT_ONCE = 10_000  # vectors in one transaction, so that neither locks nor WAL pile up


def add_model(
    name: str, *, dimensions: int, weights: str = "main", windows: int = 8, template: int = 1
) -> tuple[EmbeddingModel, list[EmbeddingRun]]:
    """Registers a model version, or takes a retired one back, and asks for the runs that fill it.

    The active model goes on answering. Idempotent. Raises ModelStateError where the version is there with another
    number of dimensions.
    """
    with transaction.atomic():
        model, _ = EmbeddingModel.objects.select_for_update().get_or_create(
            name=name,
            revision=EmbeddingModel.revision_of(weights=weights, windows=windows, template=template),
            defaults={
                "weights": weights,
                "windows": windows,
                "template": template,
                "dimensions": dimensions,
            },
        )
        if model.dimensions != dimensions:
            raise ModelStateError(
                f"{model} is registered with {model.dimensions} dimensions, not {dimensions}"
            )
        if model.state == EmbeddingModel.State.RETIRED:
            model.state = EmbeddingModel.State.FILLING
            model.save(update_fields=["state"])
    return model, [request_run(kind, model, reason=f"{model} added")[0] for kind in Kind.values]


def missing_for_activation(model: EmbeddingModel) -> list[str]:
    """What speaks against letting `model` answer, in words; empty where nothing does."""
    missing = []
    for kind in Kind.values:
        counts = coverage(model, kind)
        if not counts.is_enough:
            missing.append(f"{counts.pending:,} of {counts.rows:,} {kind}s have no current vector")
        if not index_exists(model, kind):
            missing.append(f"its index over {kind}s is not built")
    return missing


def activate(model: EmbeddingModel, *, force: bool = False) -> bool:
    """Makes `model` answer queries from now on; the former one is kept current, for a rollback.

    One transaction: every query sees the one or the other. Returns whether anything changed. Raises ModelStateError for
    a retired model, and without `force` where vectors or an index are missing.
    """
    missing = [] if force or model.state == EmbeddingModel.State.ACTIVE else missing_for_activation(model)
    if missing:
        raise ModelStateError(f"{model} cannot answer yet: {'; '.join(missing)}")
    with transaction.atomic():
        locked = {each.pk: each for each in EmbeddingModel.objects.select_for_update().order_by("pk")}
        model = locked[model.pk]
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


def rollback() -> EmbeddingModel:
    """Lets the model that answered before answer again, at once; returns it.

    Its vectors were kept current and its index stands. Raises ModelStateError where there is none to go back to.
    """
    previous = (
        EmbeddingModel.objects.filter(state=EmbeddingModel.State.FILLING)
        .exclude(activated_at=None)
        .order_by("-activated_at")
        .first()
    )
    if previous is None:
        raise ModelStateError(
            "there is no model to go back to: none that answered before is still kept current"
        )
    activate(previous, force=True)
    return previous


def retire(model: EmbeddingModel) -> int:
    """Stops filling `model` and drops its indexes and vectors; returns the number of vectors deleted.

    Goes on where an earlier call was interrupted. Must not run in a transaction. Raises ModelStateError for the
    active model.
    """
    with transaction.atomic():
        model = EmbeddingModel.objects.select_for_update().get(pk=model.pk)
        if model.state == EmbeddingModel.State.ACTIVE:
            raise ModelStateError(f"{model} answers queries: activate another one first")
        model.state = EmbeddingModel.State.RETIRED
        model.save(update_fields=["state"])
    for run in EmbeddingRun.objects.unfinished().filter(model=model):
        cancel_run(run.pk)
    DeadLetter.objects.held().filter(model=model).update(state=DeadLetter.State.CLEARED)
    deleted = 0
    for names in TABLES.values():
        drop_index(model, names.kind)
        deleted += _delete_vectors(names.embedding, model)
    logger.info("retired %s: %d vectors deleted", model, deleted)
    return deleted


def prepare_serving(run_id: int) -> bool:
    """Builds the indexes that the run's model lacks, and activates it where no model answers yet.

    The index comes after the load: built at once it takes a small part of the time that row by row would take.
    Only a kind of which (nearly) no row is pending gets its index. Returns False where another builder is still at
    work, so that somebody must look again. Idempotent. Must not run in a transaction.
    """
    model = EmbeddingRun.objects.select_related("model").get(pk=run_id).model
    if model.state == EmbeddingModel.State.RETIRED:
        return True
    if EmbeddingModel.objects.active() is not None and all(index_exists(model, kind) for kind in Kind.values):
        return True  # as after every run but the first; counting what is complete reads all rows
    complete = [kind for kind in Kind.values if coverage(model, kind).is_enough]
    for kind in complete:
        if build_index(model, kind):
            logger.info("built the index of %s over %ss", model, kind)
    ready = [kind for kind in complete if index_exists(model, kind)]
    if (
        len(ready) == len(Kind.values)
        and EmbeddingModel.objects.active() is None
        and activate(model, force=True)
    ):
        logger.info("%s answers queries from now on", model)
    return ready == complete


def _delete_vectors(table: str, model: EmbeddingModel) -> int:
    deleted = 0
    with connection.cursor() as cursor:
        while True:
            cursor.execute(
                f"DELETE FROM {table} WHERE ctid = ANY (ARRAY("
                f"SELECT ctid FROM {table} WHERE model_id = %s LIMIT {DELETED_AT_ONCE}))",
                [model.pk],
            )
            if not cursor.rowcount:
                return deleted
            deleted += cursor.rowcount
