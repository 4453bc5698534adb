"""Admin pages of chunks. A run may have thousands, so they have a list of their own, filtered by run."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter, FieldTextFilter
from unfold.decorators import display

from apps.embeddings.admin.formatting import nonzero_counts
from apps.embeddings.models import EmbeddingChunk
from apps.records.admin import ReadOnlyAdmin


@admin.register(EmbeddingChunk)
class EmbeddingChunkAdmin(ReadOnlyAdmin):
    """Chunks, read-only."""

    list_display = [
        "__str__",
        "wave",
        "state_badge",
        "rows",
        "rows_done",
        "attempts",
        "worker",
        "embedded_at",
        "written_at",
    ]
    list_filter = [
        ("state", ChoicesDropdownFilter),
        ("run", AutocompleteSelectFilter),
        ("worker", FieldTextFilter),
    ]
    list_filter_submit = True
    list_fullwidth = True
    ordering = ["-run_id", "number"]
    sortable_by: list[str] = []
    fieldsets = [
        (None, {"fields": [("run", "number", "wave"), ("state", "attempts", "isolated"), "error"]}),
        (
            "Rows",
            {
                "fields": [
                    ("rows", "text_bytes"),
                    ("rows_written", "rows_reused", "rows_skipped", "rows_dead"),
                ]
            },
        ),
        ("Work", {"fields": ["worker", "leased_until", ("sent_at", "embedded_at", "written_at")]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[EmbeddingChunk]:
        chunks: QuerySet[EmbeddingChunk] = super().get_queryset(request)
        # The vectors of a chunk take megabytes until they are written.
        return chunks.defer("row_ids", "embedded_ids", "embedded_hashes", "vectors").select_related("run")

    @display(description="Written", header=True)
    def rows_done(self, chunk: EmbeddingChunk) -> list[str]:
        """Rows written, and how the nonzero_counts ended."""
        counts = {"reused": chunk.rows_reused, "skipped": chunk.rows_skipped, "dead": chunk.rows_dead}
        return [f"{chunk.rows_written:,}", nonzero_counts(counts)]

    @display(
        description="State",
        label={
            EmbeddingChunk.State.PLANNED: "default",
            EmbeddingChunk.State.LEASED: "info",
            EmbeddingChunk.State.EMBEDDED: "primary",
            EmbeddingChunk.State.WRITTEN: "success",
            EmbeddingChunk.State.FAILED: "danger",
        },
    )
    def state_badge(self, chunk: EmbeddingChunk) -> tuple[str, str]:
        """The state with its color."""
        return chunk.state, chunk.get_state_display()
