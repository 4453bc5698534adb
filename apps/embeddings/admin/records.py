"""Admin pages of postings and candidates with the state of their vectors."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Case, CharField, Exists, OuterRef, QuerySet, Value, When
from django.http import HttpRequest
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from apps.candidates.admin import CandidateAdmin
from apps.candidates.models import Candidate
from apps.embeddings.hints import embed_soon
from apps.embeddings.models import (
    CandidateEmbedding,
    DeadLetter,
    EmbeddingModel,
    Kind,
    PostingEmbedding,
)
from apps.postings.admin import PostingAdmin
from apps.postings.models import Posting
from apps.records.admin import RecordAdmin

CURRENT, PENDING, DEAD = "current", "pending", "dead letter"


class VectorFilter(DropdownFilter):
    """A filter by the state of the vector."""

    title = "vector"
    parameter_name = "vector"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state, state) for state in (CURRENT, PENDING, DEAD)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(vector_state=self.value()) if self.value() else queryset


class EmbeddedRecordAdmin(RecordAdmin):
    """Shows the state of the active model's vector, and has edited rows embedded soon."""

    kind: ClassVar[Kind]
    embeddings: ClassVar[Any]  # the model of the kind's vectors

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return [*super().get_list_display(request), "vector"]

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return [*super().get_list_filter(request), VectorFilter]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        active = {"model__state": EmbeddingModel.State.ACTIVE, "content_hash": OuterRef("content_hash")}
        vectors = self.embeddings.objects.filter(**{self.kind.value: OuterRef("pk")}, **active)
        letters = DeadLetter.objects.filter(
            kind=self.kind, row_id=OuterRef("pk"), state=DeadLetter.State.OPEN, **active
        )
        rows: QuerySet[Any] = super().get_queryset(request)
        annotated: QuerySet[Any] = rows.annotate(
            vector_state=Case(
                When(Exists(vectors), then=Value(CURRENT)),
                When(Exists(letters), then=Value(DEAD)),
                default=Value(PENDING),
                output_field=CharField(),
            )
        )
        return annotated

    @display(description="Vector", label={CURRENT: "success", PENDING: "warning", DEAD: "danger"})
    def vector(self, record: Any) -> str:
        """The state of the vector with its color."""
        return str(record.vector_state)

    def after_edit(self, record: Any) -> None:
        super().after_edit(record)
        embed_soon(self.kind)


@admin.register(Posting)
class EmbeddedPostingAdmin(EmbeddedRecordAdmin, PostingAdmin):
    """Postings with the state of their vectors."""

    kind = Kind.POSTING
    embeddings = PostingEmbedding


@admin.register(Candidate)
class EmbeddedCandidateAdmin(EmbeddedRecordAdmin, CandidateAdmin):
    """Candidates with the state of their vectors."""

    kind = Kind.CANDIDATE
    embeddings = CandidateEmbedding
