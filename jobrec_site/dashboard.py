"""The admin's first page: live figures, of the tables that the user may see."""

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
from apps.embeddings.admin.figures import STATE_LABELS, coverage_bar, run_bar
from apps.embeddings.models import DeadLetter, EmbeddingModel, EmbeddingRun, Kind
from apps.embeddings.registry import coverage
from apps.postings.models import Posting

logger = logging.getLogger(__name__)

LATEST_RUNS = 6
BROKER_PATIENCE = 1.0  # seconds that the page waits for the broker

May = Callable[[str], bool]


def add_figures(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """unfold's callback: the context of the first page, with what it shows."""
    may: May = request.user.has_perm
    context["cards"] = _cards(may)
    if may("embeddings.view_embeddingmodel"):
        context["active_model"] = active = EmbeddingModel.objects.active()
        context["coverage"] = [(kind.label, coverage_bar(coverage(active, kind))) for kind in Kind if active]
    if may("embeddings.view_embeddingrun"):
        context["queues"] = queue_lengths()
        context["runs"] = _latest_runs()
    return context


def queue_lengths() -> dict[str, int] | None:
    """Messages that wait in each queue of the workers; None where the broker does not answer.

    Celery keeps a queue as a Redis list under its name (its monitoring guide counts it so).
    """
    broker = Redis.from_url(
        settings.REDIS_BROKER_URL,
        socket_timeout=BROKER_PATIENCE,
        socket_connect_timeout=BROKER_PATIENCE,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        with broker:
            return {queue.name: int(broker.llen(queue.name)) for queue in current_app.conf.task_queues}
    except RedisError as error:
        logger.warning("the broker does not answer the dashboard: %s", error)
        return None


def _cards(may: May) -> list[dict[str, str]]:
    cards = []
    if may("postings.view_posting"):
        postings = Posting.objects.aggregate(rows=Count("pk"), open=Count("pk", filter=_OPEN))
        cards.append(_card("Postings", postings["rows"], f"{postings['open']:,} open", "postings_posting"))
    if may("candidates.view_candidate"):
        cards.append(_card("Candidates", Candidate.objects.count(), "", "candidates_candidate"))
    if may("embeddings.view_deadletter"):
        count = DeadLetter.objects.filter(state=DeadLetter.State.OPEN).count()
        note = "rows that cannot be embedded" if count else "every row can be embedded"
        cards.append(_card("Open dead letters", count, note, "embeddings_deadletter", state__exact="open"))
    if may("embeddings.view_embeddingrun"):
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
        for run in EmbeddingRun.objects.with_progress()[:LATEST_RUNS]
    ]
