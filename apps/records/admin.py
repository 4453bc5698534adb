"""Base classes of admin pages, of read-only tables and of postings and candidates; the pages of imports."""

from collections.abc import Iterable
from pathlib import Path
from textwrap import shorten
from typing import Any, ClassVar

import orjson
from django import forms
from django.contrib import admin
from django.db import connection, models
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from pydantic import ValidationError
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter, FieldTextFilter
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from apps.caching.services import invalidate_on_commit
from apps.records.hand_edits import SALARY_AMOUNTS, mark, release
from apps.records.input_errors import input_errors
from apps.records.inputs import RecordInput
from apps.records.models import Import, ImportNote, Record
from apps.records.normalizing.coordinates import PLACE_FIELDS, coordinates_of
from apps.records.services import MANUAL, stated_names
from apps.skills.models import SkillUse

MAX_NOTES_SHOWN = 100  # on the page of an import
MAX_SHOWN_VALUE = 200  # characters of a source's value on the page of a row


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

    released = forms.MultipleChoiceField(
        label="Let go of",
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="The next import writes these fields again.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["released"]
        field.choices = [(name, _label(name)) for name in sorted(self.instance.hand_edits)]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for key, value in cleaned.items():
            if isinstance(value, str):  # browsers send the line ends of Windows
                cleaned[key] = value.replace("\r\n", "\n")
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
    readonly_fields = ["created_at", "updated_at", "kept_fields"]
    deferred: tuple[str, ...] = ()  # long texts, which the list does not show

    def after_edit(self, record: Any) -> None:
        """Run the consequences of an edit, in its transaction."""
        raise NotImplementedError

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.defer(*self.deferred) if shows_list(request) else rows

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or not obj.hand_edits:
            return fieldsets
        released = ["released"] if self.has_change_permission(request, obj) else []
        return [*fieldsets, ("Kept against imports", {"fields": ["kept_fields", *released]})]

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Return the row. One that is about to be saved is locked, so that no import writes it first."""
        record = super().get_object(request, object_id, from_field)
        if record is None or request.method != "POST" or not connection.in_atomic_block:
            return record
        list(self.model._default_manager.select_for_update(no_key=True).filter(pk=record.pk).only("pk"))
        return super().get_object(request, object_id, from_field)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the row, and keep the fields that changed against later imports."""
        if change:
            stored = self.model._default_manager.get(pk=obj.pk)
            for name in set(form.cleaned_data) - set(form.changed_data) - {"released"}:
                setattr(obj, name, getattr(stored, name))  # the form has cut microseconds off
            before = {
                name: _value(stored, name)
                for name in set(form.input_class.model_fields) & set(form.cleaned_data) - _OF_THE_SOURCE
                if _value(stored, name) != _value(obj, name)
            }
            obj.hand_edits = release(stored.hand_edits, form.cleaned_data.get("released") or ())
            self._mark(request, obj, before)
            if not SALARY_AMOUNTS.isdisjoint(before):
                obj.salary_text = ""
            if obj.places and not before.keys().isdisjoint(obj.places[0]):
                first = {name: getattr(obj, name) for name in ("city", "region", "country")}
                obj.places = [first, *obj.places[1:]]
        obj.coordinates = coordinates_of(**{name: getattr(obj, name) for name in PLACE_FIELDS})
        super().save_model(request, obj, form, change)

    def _mark(self, request: HttpRequest, record: Any, before: dict[str, Any]) -> None:
        """Note that the user changed the fields of `before`. Rows without a source need no note."""
        if before and record.source != MANUAL:
            record.hand_edits = mark(record.hand_edits, before, by=request.user.get_username())

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Save skills chosen by hand as stated ones, since the text need not name them."""
        for use in formset.save(commit=False):
            use.origin = SkillUse.Origin.STATED
            use.save()
        for use in formset.deleted_objects:
            use.delete()

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        record = form.instance
        before = sorted(stated_names(record)) if change else []
        super().save_related(request, form, formsets, change)
        if change and sorted(stated_names(record)) != before:
            self._mark(request, record, {"skills": before})
            self.model._default_manager.filter(pk=record.pk).update(hand_edits=record.hand_edits)
        self.after_edit(record)

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

    @admin.display(description="Kept fields")
    def kept_fields(self, record: Record) -> SafeString:
        """Return a table of the fields that people changed: by whom, when, and what the source says."""
        rows = (
            (_label(name), _shown(edit["source"]), edit["by"], edit["at"].replace("T", " ")[:16])
            for name, edit in sorted(record.hand_edits.items())
        )
        return _table(("Field", "The source says", "Changed by", "At (UTC)"), rows)

    @admin.display(description="Place")
    def place(self, record: Record) -> str:
        """Return city, region and country, and whether the work is remote."""
        named = ", ".join(part for part in (record.city, record.region, record.country) if part)
        return " · ".join(part for part in (named, "remote" if record.remote else "") if part)


# What no edit by hand keeps: the key of the row; skills are compared after the rows of the inline are saved.
_OF_THE_SOURCE = {"source", "external_id", "skills"}


def _value(record: Record, name: str) -> Any:
    """A field's value as an edit by hand notes it: a company by its name."""
    value = getattr(record, name)
    if isinstance(record._meta.get_field(name), models.ForeignKey):
        return str(value) if value is not None else ""
    return value


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _shown(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str("" if value is None else value)
    return shorten(text, MAX_SHOWN_VALUE, placeholder=" …") or "nothing"


def _table(heads: Iterable[str], rows: Iterable[Iterable[Any]]) -> SafeString:
    """Rows of text as a table of the admin."""
    head = format_html_join(
        "", '<th class="px-3 py-2 text-left font-semibold">{}</th>', ((each,) for each in heads)
    )
    body = format_html_join(
        "",
        '<tr class="border-t border-base-200 dark:border-base-800">{}</tr>',
        (
            (format_html_join("", '<td class="px-3 py-2 align-top">{}</td>', ((cell,) for cell in row)),)
            for row in rows
        ),
    )
    return format_html(
        '<table class="w-full text-sm"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>', head, body
    )


class _OfVisibleKinds(ReadOnlyAdmin):
    """Imports of the kinds of record that the user may see, because rejected rows hold the same data."""

    kind_path: ClassVar[str]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.filter(**{f"{self.kind_path}__in": _visible_kinds(request)})


def _visible_kinds(request: HttpRequest) -> list[str]:
    user = request.user
    return [
        kind
        for kind, app in (("posting", "postings"), ("candidate", "candidates"))
        if user.has_perm(f"{app}.view_{kind}")
    ]


@admin.register(Import)
class ImportAdmin(_OfVisibleKinds):
    """The history of imports."""

    kind_path = "kind"
    list_display = ["file_name", "kind", "source", "by", "started_at", "state_badge", "counts"]
    list_display_links = ["file_name"]
    list_filter = [
        ("kind", ChoicesDropdownFilter),
        ("state", ChoicesDropdownFilter),
        ("source", FieldTextFilter),
    ]
    list_filter_submit = True
    search_fields = ["file", "source"]
    search_help_text = "Part of the file's name or of the source"
    actions_detail = ["download_rejects"]
    fieldsets = [
        (None, {"fields": ["file", ("kind", "source"), ("state", "by"), "error", "counts", "complete"]}),
        ("What was not understood", {"fields": ["reasons_table"]}),
        ("Rows to look at", {"fields": ["notes_table"]}),
        ("Mapping", {"fields": ["mapping_text"]}),
        ("Times", {"fields": [("started_at", "finished_at", "beat_at"), "continues", "digest"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Import]:
        rows: QuerySet[Import] = super().get_queryset(request)
        return rows.defer("mapping", "reasons") if shows_list(request) else rows

    @admin.display(description="File", ordering="file")
    def file_name(self, record: Import) -> str:
        """Return the end of the path, or the address."""
        return record.file if "://" in record.file else Path(record.file).name or record.file

    @display(
        description="State",
        label={
            Import.State.RUNNING: "info",
            Import.State.FINISHED: "success",
            Import.State.FAILED: "danger",
            Import.State.INTERRUPTED: "warning",
        },
    )
    def state_badge(self, record: Import) -> tuple[str, str]:
        """Return the state with its color."""
        return record.state, record.get_state_display()

    @admin.display(description="Rows")
    def counts(self, record: Import) -> str:
        """Return the counts by outcome, in words."""
        return record.counted()

    @admin.display(description="Reasons")
    def reasons_table(self, record: Import) -> SafeString | str:
        """Return the reasons by number, each with an example."""
        rows = [
            (
                f"{each['count']:,}",
                "row rejected" if each["rejects"] else "cell left out",
                each["field"],
                each["example"],
                each["line"],
            )
            for each in record.reasons or []
        ]
        return (
            _table(("Count", "Effect", "Field", "Example", "First line"), rows)
            if rows
            else "Everything was understood."
        )

    @admin.display(description="Notes")
    def notes_table(self, record: Import) -> SafeString | str:
        """Return the first rejected rows and conflicts, with a link to all."""
        notes = list(record.notes.all()[: MAX_NOTES_SHOWN + 1])
        if not notes:
            return "No row was rejected, and nothing conflicts with an edit by hand."
        table = _table(
            ("", "Line", "External id", "Reasons"),
            (
                (note.get_kind_display(), note.line or "", note.external_id, note.in_words())
                for note in notes[:MAX_NOTES_SHOWN]
            ),
        )
        url = f"{reverse('admin:records_importnote_changelist')}?of__id__exact={record.pk}"
        more = (
            "More rows, and the rows as they were"
            if len(notes) > MAX_NOTES_SHOWN
            else "The rows as they were"
        )
        return format_html('{}<a class="text-primary-600" href="{}">{}</a>', table, url, more)

    @admin.display(description="Mapping")
    def mapping_text(self, record: Import) -> SafeString:
        """Return the mapping file in a fixed-width font."""
        return format_html(
            '<pre class="overflow-x-auto text-xs" style="white-space: pre">{}</pre>', record.mapping
        )

    @action(description="Download rejected rows", icon="download", permissions=["view"])
    def download_rejects(self, request: HttpRequest, object_id: int) -> HttpResponseBase:
        """Send the rejected rows with their reasons as JSON Lines; mended, the file can be imported."""
        record = get_object_or_404(self.get_queryset(request), pk=object_id)
        notes = record.notes.filter(kind=ImportNote.Kind.REJECTED).order_by("pk")
        lines = (note.as_rejected_line(record.file) for note in notes.iterator(chunk_size=500))
        response = StreamingHttpResponse(lines, content_type="application/x-ndjson")
        response["Content-Disposition"] = f'attachment; filename="import-{record.pk}.rejects.jsonl"'
        return response


@admin.register(ImportNote)
class ImportNoteAdmin(_OfVisibleKinds):
    """Rows of imports that a person should look at."""

    kind_path = "of__kind"
    list_display = ["__str__", "external_id", "in_words", "of"]
    list_select_related = ["of"]
    list_filter = [("kind", ChoicesDropdownFilter)]
    list_filter_submit = True
    search_fields = ["external_id__exact"]
    search_help_text = "The whole external id"
    fieldsets = [(None, {"fields": [("of", "kind"), ("line", "external_id"), "reasons_table", "row_text"]})]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ImportNote]:
        rows: QuerySet[ImportNote] = super().get_queryset(request).defer("of__mapping", "of__reasons")
        return rows.defer("row") if shows_list(request) else rows

    @admin.display(description="Reasons")
    def in_words(self, note: ImportNote) -> str:
        """Return the reasons, shortened."""
        return shorten(note.in_words(), 200, placeholder=" …")

    @admin.display(description="Reasons")
    def reasons_table(self, note: ImportNote) -> SafeString:
        """Return the reasons by field."""
        return _table(("Field", "Reason"), ((each["field"], each["reason"]) for each in note.reasons))

    @admin.display(description="Row")
    def row_text(self, note: ImportNote) -> SafeString:
        """Return the row as it was, as indented JSON."""
        text = orjson.dumps(note.row, option=orjson.OPT_INDENT_2).decode()
        return format_html(
            '<pre class="overflow-x-auto text-xs" style="white-space: pre-wrap">{}</pre>', text
        )
