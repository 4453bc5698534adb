"""Admin of interactions."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter
from unfold.decorators import display

from apps.recommendations.models import Interaction
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
