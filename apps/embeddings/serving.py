"""From a complete load to a model that answers queries."""

import logging

from apps.embeddings.index import build_index, index_exists
from apps.embeddings.models import EmbeddingModel, EmbeddingRun, Kind
from apps.embeddings.registry import activate, coverage

logger = logging.getLogger(__name__)


def prepare_serving(run_id: int) -> None:
    """Builds the index that the run's model lacks, and activates it where no model answers yet.

    The index comes after the load: built at once it takes a small part of the time that row by row would take.
    Only a kind of which no row is pending gets its index, and a model answers only when it has all its indexes.
    Idempotent. Must not run in a transaction.
    """
    model = EmbeddingRun.objects.select_related("model").get(pk=run_id).model
    if model.state == EmbeddingModel.State.RETIRED:
        return
    complete = [kind for kind in Kind.values if coverage(model, kind).pending == 0]
    for kind in complete:
        if build_index(model, kind):
            logger.info("built the index of %s over %ss", model, kind)
    ready = [kind for kind in complete if index_exists(model, kind)]
    if len(ready) == len(Kind.values) and EmbeddingModel.objects.active() is None and activate(model):
        logger.info("%s answers queries from now on", model)
