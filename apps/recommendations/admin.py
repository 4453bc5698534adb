"""Admin of interactions, sponsored postings and options of the ranking."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter
from unfold.decorators import display

from apps.caching.services import invalidate_on_commit
from apps.recommendations.models import Interaction, RankingOptions, SponsoredPosting
from apps.records.admin import ReadOnlyAdmin


@admin.register(Interaction)
class InteractionAdmin(ReadOnlyAdmin):
    """List of what candidates did with postings."""

    list_display = ["at", "action_badge", "candidate", "posting"]
    list_filter = [("action", ChoicesDropdownFilter), ("at", RangeDateFilter)]
    list_filter_submit = True
    search_fields = ["candidate__headline", "posting__title"]
    fields = ["candidate", "posting", "action", "at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Interaction]:
        rows: QuerySet[Interaction] = super().get_queryset(request)
        # Names only: résumés and descriptions are large.
        return rows.select_related("candidate", "posting").only(
            "action", "at", "candidate__headline", "candidate__external_id", "posting__title"
        )

    @display(
        description="Action",
        label={
            Interaction.Action.VIEWED: "default",
            Interaction.Action.APPLIED: "success",
            Interaction.Action.SAVED: "info",
            Interaction.Action.DISMISSED: "warning",
        },
    )
    def action_badge(self, interaction: Interaction) -> tuple[str, str]:
        """The action as a colored label."""
        return interaction.action, interaction.get_action_display()


class RankingAdmin(ModelAdmin):
    """Pages of tables that every ranked list depends on: a change empties the caches."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: Any) -> None:
        super().save_related(request, form, formsets, change)
        invalidate_on_commit(["postings", "candidates"])

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        super().delete_model(request, obj)
        invalidate_on_commit(["postings", "candidates"])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        super().delete_queryset(request, queryset)
        invalidate_on_commit(["postings", "candidates"])


@admin.register(RankingOptions)
class RankingOptionsAdmin(RankingAdmin):
    """The options of the ranking: one row."""

    autocomplete_fields = ["own_companies"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(super().has_add_permission(request)) and not RankingOptions.objects.exists()


@admin.register(SponsoredPosting)
class SponsoredPostingAdmin(RankingAdmin):
    """List of sponsored postings."""

    list_display = ["posting", "until"]
    autocomplete_fields = ["posting"]
    list_select_related = ["posting"]
