"""Admin pages of dead letters."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, FieldTextFilter, RelatedDropdownFilter
from unfold.decorators import display

from apps.embeddings import dead_letters
from apps.embeddings.kinds import tables
from apps.embeddings.models import DeadLetter
from apps.records.admin import ReadOnlyAdmin, shows_list


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnlyAdmin):
    """Dead letters with the actions replay and discard."""

    list_display = ["error", "row_link", "model", "step", "attempts", "state_badge", "created_at"]
    list_filter = [
        ("state", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("step", FieldTextFilter),
        ("error", FieldTextFilter),
        ("model", RelatedDropdownFilter),
    ]
    list_filter_submit = True
    list_select_related = ["model"]
    actions = ["replay", "discard"]
    search_fields = ["row_id__exact", "error"]
    search_help_text = "Id of the row, or part of the error"
    fieldsets = [
        (None, {"fields": [("row_link", "state"), ("model", "run", "chunk"), ("step", "attempts"), "error"]}),
        ("Traceback", {"fields": ["traceback_text"]}),
        ("Times", {"fields": [("created_at", "updated_at")]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[DeadLetter]:
        letters: QuerySet[DeadLetter] = super().get_queryset(request)
        return letters.defer("traceback") if shows_list(request) else letters

    @admin.action(description="Replay: give the rows back to the workers", permissions=["operate"])
    def replay(self, request: HttpRequest, letters: QuerySet[DeadLetter]) -> None:
        """Give the rows of the selected letters back to the workers."""
        # A plain query, without the annotations of the list: the service locks the rows.
        keys = list(letters.values_list("pk", flat=True))
        replayed = dead_letters.replay(DeadLetter.objects.filter(pk__in=keys))
        by = f" by run {', '.join(map(str, replayed.runs))}" if replayed.runs else ""
        self.message_user(request, f"{replayed.rows:,} rows are tried again{by}.", messages.SUCCESS)
        if replayed.retired:
            self.message_user(
                request, f"{replayed.retired:,} letters are about a retired model and stay.", messages.WARNING
            )

    @admin.action(description="Discard: accept that the rows have no vector", permissions=["operate"])
    def discard(self, request: HttpRequest, letters: QuerySet[DeadLetter]) -> None:
        """Accept that the rows of the selected letters have no vector."""
        keys = list(letters.values_list("pk", flat=True))
        count = dead_letters.discard(DeadLetter.objects.filter(pk__in=keys))
        self.message_user(request, f"{count:,} dead letters are discarded.", messages.SUCCESS)

    @display(
        description="State",
        label={
            DeadLetter.State.OPEN: "danger",
            DeadLetter.State.REPLAYED: "info",
            DeadLetter.State.CLEARED: "success",
            DeadLetter.State.DISCARDED: "default",
        },
    )
    def state_badge(self, letter: DeadLetter) -> tuple[str, str]:
        """The state with its color."""
        return letter.state, letter.get_state_display()

    @admin.display(description="Row")
    def row_link(self, letter: DeadLetter) -> SafeString:
        """A link to the row."""
        record = tables(letter.kind).model._meta
        url = reverse(f"admin:{record.app_label}_{record.model_name}_change", args=[letter.row_id])
        return format_html('<a class="text-primary-600" href="{}">{} {}</a>', url, letter.kind, letter.row_id)

    @admin.display(description="Traceback")
    def traceback_text(self, letter: DeadLetter) -> SafeString:
        """The traceback in a fixed-width font."""
        return format_html(
            '<pre class="overflow-x-auto text-xs" style="white-space: pre">{}</pre>', letter.traceback
        )
