"""Model versions and the vectors made with them."""

from typing import Any, Self

from django.db import models
from django.db.models import Q
from pgvector.django import HalfVectorField

from apps.candidates.models import Candidate
from apps.embeddings.adapters import Adapter
from apps.postings.models import Posting


class Kind(models.TextChoices):
    """The kinds of rows that are embedded."""

    POSTING = "posting", "Postings"
    CANDIDATE = "candidate", "Candidates"


class EmbeddingModelQuerySet(models.QuerySet["EmbeddingModel"]):
    """Queries over model versions."""

    def active(self) -> "EmbeddingModel | None":
        """The model that answers queries; None until the first model is complete."""
        return self.filter(state=EmbeddingModel.State.ACTIVE).first()

    def filled(self) -> Self:
        """Models whose vectors are kept current: the active one and those being filled to replace it."""
        return self.exclude(state=EmbeddingModel.State.RETIRED)


class EmbeddingModel(models.Model):
    """One version of a model. Vectors of different versions are never compared.

    One version serves both kinds, since the vector of a candidate is compared with those of postings.
    """

    class State(models.TextChoices):
        """States of a model version; vectors of filling and active versions are kept current."""

        FILLING = "filling", "Filling"
        ACTIVE = "active", "Active"
        RETIRED = "retired", "Retired"

    name = models.CharField(max_length=200, help_text="Name on a model hub, or a local folder")
    weights = models.CharField(max_length=100, default="main", help_text="The hub's branch, tag or commit")
    template = models.PositiveSmallIntegerField(default=1, help_text="Version of the text template")
    windows = models.PositiveSmallIntegerField(
        default=8,
        help_text="Texts are cut after this many model windows; 1 embeds only the first",
    )
    adapter = models.CharField(
        max_length=300,
        blank=True,
        default="",
        db_default="",
        help_text="File with a trained change of the weights; empty: none",
    )
    adapter_sha256 = models.CharField(max_length=64, blank=True, default="", db_default="")
    revision = models.CharField(
        max_length=120, help_text="Weights, text template, windows and adapter in one name"
    )
    dimensions = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=7, choices=State, default=State.FILLING)
    created_at = models.DateTimeField(auto_now_add=True)
    activated_at = models.DateTimeField(null=True, blank=True)

    objects = EmbeddingModelQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["name", "revision"], name="embedding_model_once"),
            models.UniqueConstraint(
                fields=["state"], condition=Q(state="active"), name="embedding_model_one_active"
            ),
            # halfvec holds up to 16,000 dimensions, but an HNSW index on it only 4,000 (pgvector 0.8).
            models.CheckConstraint(
                condition=Q(dimensions__range=(1, 4000)), name="embedding_model_dimensions"
            ),
            models.CheckConstraint(condition=Q(windows__gte=1), name="embedding_model_windows"),
        ]

    def __str__(self) -> str:
        return f"{self.name}@{self.revision}"

    def save(self, *args: object, **kwargs: object) -> None:
        """Save the model, with a revision made of its fields if it has none."""
        if not self.revision:
            self.revision = self.revision_of(
                weights=self.weights,
                windows=self.windows,
                template=self.template,
                adapter_sha256=self.adapter_sha256,
            )
        super().save(*args, **kwargs)  # type: ignore[arg-type]  # passed on as given

    @staticmethod
    def revision_of(*, weights: str, windows: int, template: int = 1, adapter_sha256: str = "") -> str:
        """The revision that names these settings."""
        adapter = f"-a{adapter_sha256[:12]}" if adapter_sha256 else ""
        return f"{weights}-t{template}-w{windows}{adapter}"

    @classmethod
    def version_fields(
        cls, *, weights: str, windows: int, template: int = 1, adapter: Adapter | None = None
    ) -> dict[str, Any]:
        """The values of the fields that a revision names, and of the revision."""
        sha256 = adapter.sha256 if adapter else ""
        return {
            "weights": weights,
            "windows": windows,
            "template": template,
            "adapter": adapter.file if adapter else "",
            "adapter_sha256": sha256,
            "revision": cls.revision_of(
                weights=weights, windows=windows, template=template, adapter_sha256=sha256
            ),
        }


class Embedding(models.Model):
    """One vector of one row: current while `content_hash` equals that of the row."""

    # Neither key needs an index of its own: the primary key begins with the row, an index of the subclass
    # with the model. No foreign key to the model, which would be checked for each vector:
    # chunk_ledger.write_chunk locks the model once per chunk, and a trigger deletes the vectors of a deleted
    # model.
    model = models.ForeignKey(
        EmbeddingModel, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    content_hash = models.BinaryField()
    # Without dimensions, since versions may differ in them; each HNSW index casts to its own.
    vector = HalfVectorField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return str(self.pk)


class PostingEmbedding(Embedding):
    """The vector of a posting with one model."""

    pk = models.CompositePrimaryKey("posting_id", "model_id")
    posting = models.ForeignKey(
        Posting, on_delete=models.CASCADE, related_name="embeddings", db_index=False, db_constraint=False
    )

    class Meta:
        indexes = [
            models.Index("model", "content_hash", name="posting_embedding_by_content"),
            models.Index(
                fields=["model", "posting"], include=["content_hash"], name="posting_embedding_content"
            ),
        ]


class CandidateEmbedding(Embedding):
    """The vector of a candidate with one model."""

    pk = models.CompositePrimaryKey("candidate_id", "model_id")
    candidate = models.ForeignKey(
        Candidate, on_delete=models.CASCADE, related_name="embeddings", db_index=False, db_constraint=False
    )

    class Meta:
        indexes = [
            models.Index("model", "content_hash", name="candidate_embed_by_content"),
            models.Index(
                fields=["model", "candidate"], include=["content_hash"], name="candidate_embedding_content"
            ),
        ]
