"""Admin pages of candidates. apps.embeddings registers them and adds vectors."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter

from apps.candidates.inputs import CandidateInput
from apps.candidates.models import Candidate, CandidateSkill
from apps.candidates.services import after_edit
from apps.records.admin import RecordAdmin, RecordForm
from apps.records.admin_filters import SourceFilter


class CandidateForm(RecordForm):
    """The form of a candidate."""

    input_class = CandidateInput


class CandidateSkillInline(TabularInline):
    """The skills on the page of a candidate."""

    model = CandidateSkill
    autocomplete_fields = ["skill"]
    fields = ["skill", "origin"]
    readonly_fields = ["origin"]
    extra = 0
    hide_title = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[CandidateSkill]:
        uses: QuerySet[CandidateSkill] = super().get_queryset(request).select_related("skill")
        return uses.order_by("origin", "skill__name")


class CandidateAdmin(RecordAdmin):
    """Pages of candidates. The list shows no more personal data than it takes to find a row."""

    form = CandidateForm
    namespace = "candidates"
    deferred = ("resume", "looking_for", "skills_text")
    inlines = [CandidateSkillInline]
    autocomplete_fields = ["user"]
    list_display = ["__str__", "place", "experience_years", "skill_count", "updated_at"]
    list_filter = [
        ("remote", BooleanRadioFilter),
        ("english_level", ChoicesDropdownFilter),
        SourceFilter,
    ]
    search_fields = ["headline", "external_id__exact"]
    search_help_text = "Part of the headline, or the whole external id"
    sortable_by: list[str] = []
    fieldsets = [
        (None, {"fields": ["headline", "looking_for", "resume"]}),
        ("Place", {"fields": [("city", "region", "country"), "remote"]}),
        ("Experience", {"fields": [("experience_years", "english_level"), "language"]}),
        ("Expected salary", {"fields": ["salary_min", ("salary_currency", "salary_period")]}),
        ("Origin", {"fields": [("source", "external_id"), "user", ("created_at", "updated_at")]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Candidate]:
        counts = CandidateSkill.objects.filter(candidate=OuterRef("pk")).order_by().values("candidate")
        rows: QuerySet[Candidate] = super().get_queryset(request)
        return rows.annotate(
            skills_counted=Coalesce(Subquery(counts.annotate(count=Count("pk")).values("count")), 0)
        )

    def after_edit(self, record: Candidate) -> None:
        after_edit(record)

    @admin.display(description="Skills")
    def skill_count(self, candidate: Any) -> int:
        """Return how many skills the candidate has."""
        return int(candidate.skills_counted)
