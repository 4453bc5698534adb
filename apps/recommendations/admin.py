"""Admin of interactions, sponsored postings, options of the ranking, and copies among postings."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import (
    BooleanRadioFilter,
    ChoicesDropdownFilter,
    FieldTextFilter,
    RangeDateFilter,
)
from unfold.decorators import action, display

from apps.caching.services import invalidate_on_commit
from apps.recommendations import copies
from apps.recommendations.models import Interaction, PostingCopy, RankingOptions, SponsoredPosting
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


@admin.register(PostingCopy)
class PostingCopyAdmin(ReadOnlyAdmin):
    """List of postings that are copies of others, group by group, to split and merge."""

    list_display = ["posting", "company", "place", "published", "group", "is_settled"]
    list_filter = [("group", FieldTextFilter), ("is_settled", BooleanRadioFilter)]
    list_filter_submit = True
    search_fields = ["posting__title", "posting__company__name"]
    ordering = ["-group", "posting"]
    fields = ["posting", "company", "place", "published", "group", "is_settled"]
    actions = ["split", "merge"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[PostingCopy]:
        rows: QuerySet[PostingCopy] = super().get_queryset(request)
        return (
            rows.filter(group__isnull=False)
            .select_related("posting__company", "group")
            .defer("posting__description", "posting__skills_text")
        )

    @admin.display(description="Company")
    def company(self, copy: PostingCopy) -> str:
        """Return the name of the posting's company."""
        return copy.posting.company.name if copy.posting.company else "-"

    @admin.display(description="Place")
    def place(self, copy: PostingCopy) -> str:
        """Return where the posting is."""
        posting = copy.posting
        return ", ".join(filter(None, (posting.city, posting.region, posting.country))) or "-"

    @admin.display(description="Published", ordering="posting__published_at")
    def published(self, copy: PostingCopy) -> Any:
        """Return when the posting was published."""
        return copy.posting.published_at

    @action(description="No copies: take out of their group for good", permissions=["operate"])
    def split(self, request: HttpRequest, queryset: QuerySet[PostingCopy]) -> None:
        """Take the selected postings out of their groups."""
        count = copies.split(list(queryset.values_list("posting_id", flat=True)))
        messages.success(request, f"Taken out of their group: {count:,}")

    @action(description="Copies of each other: make one group of their groups", permissions=["operate"])
    def merge(self, request: HttpRequest, queryset: QuerySet[PostingCopy]) -> None:
        """Make one group of those of the selected postings."""
        groups = {group for group in queryset.order_by().values_list("group_id", flat=True) if group}
        if len(groups) < 2:
            messages.warning(request, "They are in one group already.")
            return
        target = copies.merge(groups)
        messages.success(request, f"Made one group of {len(groups):,}: {target}")
