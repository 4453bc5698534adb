"""Base classes of admin pages: of read-only tables, and of postings and candidates."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from pydantic import ValidationError
from unfold.admin import ModelAdmin

from apps.caching.services import invalidate_on_commit
from apps.records.input_errors import input_errors
from apps.records.inputs import RecordInput
from apps.records.models import Record
from apps.skills.models import SkillUse


def shows_list(request: HttpRequest) -> bool:
    """Return True for the page that lists a table, False for the page of one row."""
    match = request.resolver_match
    return match is not None and (match.url_name or "").endswith("_changelist")


class ReadOnlyAdmin(ModelAdmin):
    """Pages of a table that only programs write.

    Actions on such rows declare `permissions=["operate"]`: the permission to change the table, which opens no
    form.
    """

    list_per_page = 50
    show_full_result_count = False  # it would count the whole table a second time

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_operate_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may run the actions."""
        return bool(super().has_change_permission(request, obj))


class RecordForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A form that validates as an import does, with the same messages."""

    input_class: ClassVar[type[RecordInput]]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        names = set(self.input_class.model_fields) & set(cleaned) - {"company"}
        try:
            self.input_class.model_validate({name: cleaned[name] for name in names})
        except ValidationError as invalid:
            for error in input_errors(invalid, self.input_class):
                name = error.field or None
                if name not in self.errors:
                    self.add_error(name, error.reason)
        return cleaned


class RecordAdmin(ModelAdmin):
    """Pages of postings or candidates. An edit by hand has the same effects as one by a program."""

    namespace: str  # the cache namespace of the rows
    list_per_page = 50
    show_full_result_count = False
    list_filter_submit = True
    warn_unsaved_form = True
    readonly_fields = ["created_at", "updated_at"]
    deferred: tuple[str, ...] = ()  # long texts, which the list does not show

    def after_edit(self, record: Any) -> None:
        """Run the consequences of an edit, in its transaction."""
        raise NotImplementedError

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.defer(*self.deferred) if shows_list(request) else rows

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Save skills chosen by hand as stated ones, since the text need not name them."""
        for use in formset.save(commit=False):
            use.origin = SkillUse.Origin.STATED
            use.save()
        for use in formset.deleted_objects:
            use.delete()

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        self.after_edit(form.instance)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Require no permission for dependent rows: the database deletes them with the record."""
        listed, counts, forbidden, protected = super().get_deleted_objects(objs, request)
        return listed, counts, forbidden & {self.opts.verbose_name}, protected

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        row_id = obj.pk
        super().delete_model(request, obj)
        invalidate_on_commit([self.namespace], [row_id])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        ids = list(queryset.values_list("pk", flat=True))
        super().delete_queryset(request, queryset)
        if ids:
            invalidate_on_commit([self.namespace], ids)

    @admin.display(description="Place")
    def place(self, record: Record) -> str:
        """Return city, region and country, and whether the work is remote."""
        named = ", ".join(part for part in (record.city, record.region, record.country) if part)
        return " · ".join(part for part in (named, "remote" if record.remote else "") if part)
