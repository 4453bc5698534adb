"""Admin pages of postings and companies. apps.embeddings registers the one of postings and adds vectors."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Count, F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter, RangeDateFilter
from unfold.decorators import display

from apps.caching.services import invalidate_on_commit
from apps.postings.inputs import PostingInput
from apps.postings.models import Company, Posting, PostingSkill
from apps.postings.services import after_edit, set_status
from apps.records.admin import RecordAdmin, RecordForm
from apps.records.admin_filters import IndexedValuesFilter, SourceFilter
from apps.safe_text import PlainNamesMixin


class PostingForm(RecordForm):
    """The form of a posting."""

    input_class = PostingInput


class PostingSkillInline(TabularInline):
    """The skills on the page of a posting."""

    model = PostingSkill
    autocomplete_fields = ["skill"]
    fields = ["skill", "origin"]
    readonly_fields = ["origin"]
    extra = 0
    hide_title = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[PostingSkill]:
        uses: QuerySet[PostingSkill] = super().get_queryset(request).select_related("skill")
        return uses.order_by("origin", "skill__name")


class JobFamilyFilter(IndexedValuesFilter):
    """Filter by job family."""

    title = "job family"
    parameter_name = "job_family"
    any_case = True


class PostingAdmin(RecordAdmin):
    """Pages of postings."""

    form = PostingForm
    namespace = "postings"
    deferred = ("description", "skills_text")
    inlines = [PostingSkillInline]
    autocomplete_fields = ["company"]
    list_display = ["title", "company", "place", "published_at", "status_badge"]
    list_select_related = ["company"]
    list_filter = [
        ("status", ChoicesDropdownFilter),
        ("remote", BooleanRadioFilter),
        ("employment_type", ChoicesDropdownFilter),
        JobFamilyFilter,
        SourceFilter,
        ("published_at", RangeDateFilter),
    ]
    search_fields = ["title", "company__name", "external_id__exact"]
    search_help_text = "Part of the title or company, or the whole external id"
    # The order of the index `posting_newest_first`; sorting by another column would read the whole table.
    ordering = [F("published_at").desc(nulls_last=True), "-id"]
    sortable_by = ["published_at"]
    actions = ["open_selected", "close_selected"]
    fieldsets = [
        (None, {"fields": [("title", "company"), "description"]}),
        ("Terms", {"fields": [("employment_type", "job_family"), "status", "published_at", "closes_at"]}),
        ("Place", {"fields": [("city", "region", "country"), "remote"]}),
        ("Required", {"fields": [("experience_years", "english_level"), "language"]}),
        ("Salary", {"fields": [("salary_min", "salary_max"), ("salary_currency", "salary_period")]}),
        ("Origin", {"fields": [("source", "external_id"), ("created_at", "updated_at")]}),
    ]

    def after_edit(self, record: Posting) -> None:
        after_edit(record)

    def save_model(self, request: HttpRequest, obj: Posting, form: Any, change: bool) -> None:
        if "status" in form.changed_data:
            obj.missing_since = None  # from now on a person says whether it is open
        super().save_model(request, obj, form, change)

    @display(
        description="Status",
        ordering="status",
        label={Posting.Status.OPEN: "success", Posting.Status.CLOSED: "default", "past": "warning"},
    )
    def status_badge(self, posting: Posting) -> tuple[str, str]:
        """Return the color key and the label of the status."""
        if posting.status == Posting.Status.OPEN and not posting.is_open:
            return "past", "Past its closing date"
        return posting.status, posting.get_status_display()

    @admin.action(description="Open the selected postings", permissions=["change"])
    def open_selected(self, request: HttpRequest, queryset: QuerySet[Posting]) -> None:
        """Open the selected postings."""
        self._set_status(request, queryset, Posting.Status.OPEN)

    @admin.action(description="Close the selected postings", permissions=["change"])
    def close_selected(self, request: HttpRequest, queryset: QuerySet[Posting]) -> None:
        """Close the selected postings."""
        self._set_status(request, queryset, Posting.Status.CLOSED)

    def _set_status(self, request: HttpRequest, queryset: QuerySet[Posting], status: Posting.Status) -> None:
        changed = set_status(
            list(queryset.values_list("pk", flat=True)), status=status, by=request.user.get_username()
        )
        LogEntry.objects.log_actions(
            user_id=str(request.user.pk),
            queryset=Posting.objects.filter(pk__in=changed).only("title"),
            action_flag=CHANGE,
            change_message=f"Set to {status.label.lower()}",
        )
        self.message_user(
            request,
            f"{len(changed)} set to {status.label.lower()}",
            messages.SUCCESS if changed else messages.INFO,
        )


class CompanyForm(PlainNamesMixin, forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """The form of a company."""


@admin.register(Company)
class CompanyAdmin(ModelAdmin):
    """Pages of companies."""

    form = CompanyForm
    list_display = ["name", "posting_count"]
    fields = ["name", "recognised_as", "spellings"]
    readonly_fields = ["recognised_as", "spellings"]
    search_fields = ["name"]
    list_per_page = 50
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Company]:
        counts = Posting.objects.filter(company=OuterRef("pk")).order_by().values("company")
        rows: QuerySet[Company] = super().get_queryset(request)
        return rows.annotate(
            postings_counted=Coalesce(Subquery(counts.annotate(count=Count("pk")).values("count")), 0)
        )

    @admin.display(description="Recognised as")
    def recognised_as(self, company: Company) -> str:
        """Return the folded name, and how to split what only looks alike."""
        if not company.folded_name:
            return "-"
        return (
            f"{company.folded_name}. Imports take every spelling of it for this company. To split one off, "
            "add a company with "
            "exactly that spelling."
        )

    @admin.display(description="Companies that are spelled alike")
    def spellings(self, company: Company) -> str:
        """Return the names of the companies that a person split off this one."""
        alike = Company.objects.filter(folded_name=company.folded_name).exclude(pk=company.pk)
        return ", ".join(alike.order_by("name").values_list("name", flat=True)[:50]) or "-"

    @admin.display(description="Postings")
    def posting_count(self, company: Any) -> int:
        """Return how many postings the company has."""
        return int(company.postings_counted)

    def save_model(self, request: HttpRequest, obj: Company, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change:
            invalidate_on_commit(["postings"])  # cached postings show the name

    def has_delete_permission(self, request: HttpRequest, obj: Company | None = None) -> bool:
        """Allow deleting a company without postings from its own page."""
        if obj is None or obj.postings.exists():
            return False
        return bool(super().has_delete_permission(request, obj))
