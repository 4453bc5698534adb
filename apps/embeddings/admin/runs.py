"""Admin pages of runs: progress, speed, and whether caches were invalidated."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget

from apps.embeddings import runs
from apps.embeddings.admin.formatting import STATE_LABELS, duration_text, nonzero_counts, rate_text, run_bar
from apps.embeddings.hints import plan_soon, start_due_runs
from apps.embeddings.models import EmbeddingChunk, EmbeddingRun, Kind
from apps.records.admin import ReadOnlyAdmin


class EmbedNowForm(BaseDialogForm):
    """The dialog of the action Embed now."""

    kind = forms.ChoiceField(
        label="What",
        required=False,
        choices=[("", "Postings and candidates"), *Kind.choices],
        widget=UnfoldAdminSelectWidget,
    )


@admin.register(EmbeddingRun)
class EmbeddingRunAdmin(ReadOnlyAdmin):
    """Runs with the actions embed now, pause, resume and cancel."""

    list_display = [
        "__str__",
        "model",
        "state_badge",
        "progress",
        "rows_done",
        "speed",
        "caches",
        "created_at",
    ]
    list_filter = [
        ("state", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("model", RelatedDropdownFilter),
    ]
    list_filter_submit = True
    list_fullwidth = True
    search_fields = ["id__exact", "reason"]
    search_help_text = "Number of the run, or part of its reason"
    sortable_by: list[str] = []
    actions_list = ["embed_now"]
    actions_detail = ["pause", "resume", "cancel"]
    fieldsets = [
        (
            None,
            {"fields": [("kind", "model"), ("state", "paused_because", "resume_at"), "reason", "progress"]},
        ),
        ("Rows", {"fields": ["rows_text", "speed_text", "chunk_states"]}),
        ("Times", {"fields": [("created_at", "started_at", "finished_at")]}),
        ("Caches", {"fields": ["caches_text", "caches_error"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[EmbeddingRun]:
        rows: Any = super().get_queryset(request)
        page: QuerySet[EmbeddingRun] = rows.with_progress().select_related("model", "invalidation")
        return page

    @display(description="State", label=STATE_LABELS)
    def state_badge(self, run: EmbeddingRun) -> tuple[str, str]:
        """The state with its color."""
        return run.state, run.get_state_display()

    @admin.display(description="Progress")
    def progress(self, run: EmbeddingRun) -> SafeString:
        """A bar of the embedded text."""
        return run_bar(run)

    @display(description="Written", header=True)
    def rows_done(self, run: EmbeddingRun) -> list[str]:
        """Rows written, and how the nonzero_counts ended."""
        progress = run.progress()
        counts = {name: getattr(progress, name) for name in ("reused", "skipped", "dead", "failed")}
        return [f"{progress.written:,}", nonzero_counts(counts)]

    @display(description="Took", header=True)
    def speed(self, run: EmbeddingRun) -> list[str]:
        """Duration and rows per second."""
        if run.started_at is None:
            return ["not started"]
        took = (run.finished_at or timezone.now()) - run.started_at
        return [
            duration_text(took),
            rate_text(run.progress().embedded, took),
        ]

    @display(
        description="Caches",
        label={"acknowledged": "success", "waiting": "warning", "none": "default"},
    )
    def caches(self, run: EmbeddingRun) -> tuple[str, str]:
        """Whether the sidecars acknowledged the invalidation, with its color."""
        record = getattr(run, "invalidation", None)
        if record is None:
            return "none", "nothing to invalidate"
        if record.acknowledged_at:
            return "acknowledged", "acknowledged"
        return (
            "waiting",
            f"not acknowledged, {record.attempts} attempts" if record.attempts else "not invalidated yet",
        )

    # Unlike a list, the page of one run shows plain values only.
    @admin.display(description="Written")
    def rows_text(self, run: EmbeddingRun) -> str:
        """`rows_done` as a text."""
        return " · ".join(filter(None, self.rows_done(run)))

    @admin.display(description="Took")
    def speed_text(self, run: EmbeddingRun) -> str:
        """`speed` as a text."""
        return " · ".join(filter(None, self.speed(run)))

    @admin.display(description="Caches")
    def caches_text(self, run: EmbeddingRun) -> str:
        """`caches` as a text."""
        return str(self.caches(run)[1])

    @admin.display(description="Last error of the invalidation")
    def caches_error(self, run: EmbeddingRun) -> str:
        """The last error of the invalidation."""
        record = getattr(run, "invalidation", None)
        return str(record.error) if record else ""

    @admin.display(description="Chunks")
    def chunk_states(self, run: EmbeddingRun) -> SafeString:
        """Numbers of chunks by state, with a link to them."""
        counts = dict(run.chunks.order_by().values_list("state").annotate(Count("pk")))
        text = ", ".join(
            f"{counts[state]:,} {state.label.lower()}" for state in EmbeddingChunk.State if state in counts
        )
        url = reverse("admin:embeddings_embeddingchunk_changelist", query={"run__id__exact": run.pk})
        return format_html('<a class="text-primary-600" href="{}">{}</a>', url, text or "none yet")

    @action(
        description="Embed now",
        icon="play_arrow",
        permissions=["start"],
        dialog={
            "title": "Embed now",
            "description": "Starts a run for every model with pending rows and no open run.",
            "form_class": EmbedNowForm,
            "form_submit_text": "Start",
        },
    )
    def embed_now(self, request: HttpRequest, form: EmbedNowForm) -> HttpResponse:
        """Start runs over the chosen kinds."""
        wanted = form.cleaned_data["kind"]
        started = start_due_runs([wanted] if wanted else Kind.values, reason=f"requested by {request.user}")
        if started:
            self.message_user(request, f"Started: {', '.join(map(str, started))}.", messages.SUCCESS)
        else:
            self.message_user(request, "Nothing is pending, or a run is open already.", messages.INFO)
        return HttpResponse(headers={"HX-Redirect": reverse("admin:embeddings_embeddingrun_changelist")})

    @action(description="Pause", icon="pause", permissions=["operate"])
    def pause(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Pause the run."""
        paused = runs.pause_run(object_id, reason=f"paused by {request.user}")
        return self._report(
            request, object_id, "It is paused." if paused else "Only a running run can be paused."
        )

    @action(description="Resume", icon="play_arrow", permissions=["operate"])
    def resume(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Resume the run."""
        resumed = runs.resume_run(object_id)
        if resumed:
            plan_soon([object_id])
        return self._report(
            request, object_id, "It is resumed." if resumed else "Only a paused run can be resumed."
        )

    @action(description="Cancel", icon="stop", permissions=["operate"])
    def cancel(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Cancel the run."""
        cancelled = runs.cancel_run(object_id)
        return self._report(
            request,
            object_id,
            "It is cancelled. Written vectors stay, other rows are pending again."
            if cancelled
            else "It has ended.",
        )

    def _report(self, request: HttpRequest, run_id: int, text: str) -> HttpResponse:
        self.message_user(request, f"Run {run_id}: {text}", messages.INFO)
        return redirect("admin:embeddings_embeddingrun_change", run_id)

    def has_start_permission(self, request: HttpRequest) -> bool:
        """Whether the user may start runs."""
        return bool(request.user.has_perm("embeddings.add_embeddingrun"))
