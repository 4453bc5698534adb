"""Admin pages of model versions."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.views import ChangeList

from apps.embeddings import lifecycle
from apps.embeddings.admin.formatting import coverage_bar
from apps.embeddings.errors import ModelStateError
from apps.embeddings.models import EmbeddingModel, Kind
from apps.embeddings.registry import coverage_of
from apps.records.admin import ReadOnlyAdmin


def read_coverage(models: Iterable[Any]) -> None:
    """Set `coverage` of each model, by kind. One statement per kind, since each reads the whole table."""
    rows = list(models)
    by_kind = {kind: coverage_of(rows, kind) for kind in Kind}
    for model in rows:
        model.coverage = {kind: by_kind[kind][model.pk] for kind in Kind}


class CoverageChangeList(ChangeList):
    """A list whose models have their coverage."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        models: list[Any] = list(self.result_list)  # type: ignore[has-type]  # set by super()
        read_coverage(models)
        self.result_list = models


@admin.register(EmbeddingModel)
class EmbeddingModelAdmin(ReadOnlyAdmin):
    """Model versions with the actions activate and roll back."""

    list_display = ["name", "revision", "state_badge", "dimensions", "postings", "candidates", "activated_at"]
    fields = [
        ("name", "revision"),
        ("state", "dimensions"),
        ("weights", "template", "windows"),
        "adapter",
        "postings",
        "candidates",
        ("created_at", "activated_at"),
    ]

    actions_detail = ["activate"]
    actions_list = ["rollback"]

    @action(description="Activate", icon="check", permissions=["operate"])
    def activate(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Let the model answer queries."""
        model = EmbeddingModel.objects.get(pk=object_id)
        try:
            changed = lifecycle.activate(model)
        except ModelStateError as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            self.message_user(
                request, f"{model} answers {'from now on' if changed else 'already'}.", messages.SUCCESS
            )
        return redirect("admin:embeddings_embeddingmodel_change", object_id)

    @action(description="Roll back to the former model", icon="undo", permissions=["operate"])
    def rollback(self, request: HttpRequest) -> HttpResponse:
        """Let the model that answered before answer again."""
        try:
            self.message_user(request, f"{lifecycle.rollback()} answers again.", messages.SUCCESS)
        except ModelStateError as error:
            self.message_user(request, str(error), messages.ERROR)
        return redirect("admin:embeddings_embeddingmodel_changelist")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return CoverageChangeList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        model = super().get_object(request, object_id, from_field)
        if model is not None:
            read_coverage([model])
        return model

    @display(
        description="State",
        ordering="state",
        label={
            EmbeddingModel.State.ACTIVE: "success",
            EmbeddingModel.State.FILLING: "info",
            EmbeddingModel.State.RETIRED: "default",
        },
    )
    def state_badge(self, model: EmbeddingModel) -> tuple[str, str]:
        """The state with its color."""
        return model.state, model.get_state_display()

    @admin.display(description="Postings")
    def postings(self, model: Any) -> SafeString:
        """Coverage of postings."""
        return coverage_bar(model.coverage[Kind.POSTING])

    @admin.display(description="Candidates")
    def candidates(self, model: Any) -> SafeString:
        """Coverage of candidates."""
        return coverage_bar(model.coverage[Kind.CANDIDATE])
