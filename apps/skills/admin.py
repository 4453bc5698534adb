"""Admin pages of the dictionary of skills."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import BooleanRadioFilter, RelatedDropdownFilter

from apps.caching.services import invalidate_on_commit
from apps.safe_text import PlainNamesMixin
from apps.skills.models import Skill, SkillAlias, SkillCategory


class SkillNamesForm(PlainNamesMixin, forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """The form of a skill, an alias or a category."""


class SkillAliasInline(TabularInline):
    """The aliases on the page of a skill."""

    model = SkillAlias
    form = SkillNamesForm
    extra = 0
    hide_title = True


@admin.register(Skill)
class SkillAdmin(ModelAdmin):
    """Pages of skills. None can be deleted, since rows refer to them; turn off `in_text` instead."""

    form = SkillNamesForm
    inlines = [SkillAliasInline]
    list_display = ["name", "category", "alias_names", "in_text"]
    list_select_related = ["category"]
    list_filter = [("category", RelatedDropdownFilter), ("in_text", BooleanRadioFilter)]
    list_filter_submit = True
    list_per_page = 50
    search_fields = ["name", "aliases__name"]
    autocomplete_fields = ["category"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Skill]:
        skills: QuerySet[Skill] = super().get_queryset(request)
        if not request.user.has_perm("candidates.view_candidate"):
            skills = skills.exclude(candidates_only=True)
        return skills.prefetch_related("aliases")

    @admin.display(description="Aliases")
    def alias_names(self, skill: Skill) -> str:
        """Return the aliases, separated by commas."""
        return ", ".join(alias.name for alias in skill.aliases.all())

    def save_model(self, request: HttpRequest, obj: Skill, form: Any, change: bool) -> None:
        if obj.in_text or obj.category.name != Skill.UNLISTED:
            obj.candidates_only = False  # somebody has made it a part of the dictionary
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        # A new name changes the text of every row that has the skill.
        renamed = change and "name" in form.changed_data
        invalidate_on_commit(["skills", "postings", "candidates"] if renamed else ["skills"])

    def has_delete_permission(self, request: HttpRequest, obj: Skill | None = None) -> bool:
        return False


@admin.register(SkillCategory)
class SkillCategoryAdmin(ModelAdmin):
    """Pages of categories."""

    form = SkillNamesForm
    list_display = ["name", "skill_count"]
    search_fields = ["name"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[SkillCategory]:
        categories: QuerySet[SkillCategory] = super().get_queryset(request)
        return categories.annotate(skills_counted=Count("skills"))

    @admin.display(description="Skills", ordering="skills_counted")
    def skill_count(self, category: Any) -> int:
        """Return how many skills the category has."""
        return int(category.skills_counted)

    def save_model(self, request: HttpRequest, obj: SkillCategory, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        invalidate_on_commit(["skills"])

    def has_delete_permission(self, request: HttpRequest, obj: SkillCategory | None = None) -> bool:
        """Allow deleting an empty category from its own page."""
        if obj is None or obj.skills.exists():
            return False
        return bool(super().has_delete_permission(request, obj))
