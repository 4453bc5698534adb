"""The first page of the admin: live statistics of the tables that the user may see."""

import logging
from collections.abc import Callable
from typing import Any

from celery import current_app
from django.conf import settings
from django.db.models import Count, Q
from django.http import HttpRequest
from django.urls import reverse
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from apps.candidates.models import Candidate
from apps.embeddings.admin.formatting import STATE_LABELS, coverage_bar, run_bar
from apps.embeddings.models import DeadLetter, EmbeddingModel, EmbeddingRun, Kind
from apps.embeddings.registry import coverage
from apps.postings.models import Posting

logger = logging.getLogger(__name__)

MAX_RUNS = 6
BROKER_TIMEOUT = 1.0  # seconds

HasPermission = Callable[[str], bool]


def add_statistics(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Django-unfold's hook: add the statistics to the context of the first page."""
    has_permission: HasPermission = request.user.has_perm
    context["cards"] = _cards(has_permission)
    if has_permission("embeddings.view_embeddingmodel"):
        context["active_model"] = active = EmbeddingModel.objects.active()
        context["coverage"] = [(kind.label, coverage_bar(coverage(active, kind))) for kind in Kind if active]
    if has_permission("embeddings.view_embeddingrun"):
        context["queues"] = queue_lengths()
        context["runs"] = _latest_runs()
    return context


def queue_lengths() -> dict[str, int] | None:
    """The number of messages in each queue of the workers; None if the broker does not answer.

    On Redis a queue is a list under the name of the queue (Celery's monitoring guide counts it this way).
    """
    broker = Redis.from_url(
        settings.REDIS_BROKER_URL,
        socket_timeout=BROKER_TIMEOUT,
        socket_connect_timeout=BROKER_TIMEOUT,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        with broker:
            return {queue.name: int(broker.llen(queue.name)) for queue in current_app.conf.task_queues}
    except RedisError as error:
        logger.warning("Cannot read the queue lengths: %s", error)
        return None


def _cards(has_permission: HasPermission) -> list[dict[str, str]]:
    cards = []
    if has_permission("postings.view_posting"):
        postings = Posting.objects.aggregate(rows=Count("pk"), open=Count("pk", filter=_OPEN))
        cards.append(_card("Postings", postings["rows"], f"{postings['open']:,} open", "postings_posting"))
    if has_permission("candidates.view_candidate"):
        cards.append(_card("Candidates", Candidate.objects.count(), "", "candidates_candidate"))
    if has_permission("embeddings.view_deadletter"):
        count = DeadLetter.objects.filter(state=DeadLetter.State.OPEN).count()
        note = "rows that cannot be embedded" if count else ""
        cards.append(_card("Open dead letters", count, note, "embeddings_deadletter", state__exact="open"))
    if has_permission("embeddings.view_embeddingrun"):
        count = EmbeddingRun.objects.unfinished().count()
        cards.append(_card("Runs in progress", count, "", "embeddings_embeddingrun"))
    return cards


_OPEN = Q(status=Posting.Status.OPEN)


def _card(title: str, count: int, note: str, page: str, **query: str) -> dict[str, str]:
    url = reverse(f"admin:{page}_changelist", query=query)
    return {"title": title, "value": f"{count:,}", "note": note, "url": url}


def _latest_runs() -> list[dict[str, Any]]:
    return [
        {
            "url": reverse("admin:embeddings_embeddingrun_change", args=[run.pk]),
            "name": str(run),
            "reason": run.reason,
            "state": run.get_state_display(),
            "label": STATE_LABELS.get(EmbeddingRun.State(run.state)),
            "bar": run_bar(run),
            "created_at": run.created_at,
        }
        for run in EmbeddingRun.objects.with_progress()[:MAX_RUNS]
    ]
