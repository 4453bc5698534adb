"""The ledger of embedding: runs, chunks, dead letters, and invalidations of caches."""

from typing import Any, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, OuterRef, Q, Subquery, Sum
from django.db.models.functions import JSONObject
from pgvector.django import HalfVectorField

from apps.embeddings.models.vectors import EmbeddingModel, Kind


class EmbeddingRunQuerySet(models.QuerySet["EmbeddingRun"]):
    """Queries over runs."""

    def unfinished(self) -> Self:
        """Runs that are planned, running or paused: at most one per kind and model."""
        return self.filter(state__in=EmbeddingRun.OPEN_STATES)

    def with_progress(self) -> Self:
        """Runs with the sums of their chunks, so that `progress()` needs no further query."""
        chunks = EmbeddingChunk.objects.filter(run=OuterRef("pk")).order_by().values("run")
        sums = chunks.annotate(sums=JSONObject(**progress_sums())).values("sums")
        return self.annotate(progress_sums=Subquery(sums))


class EmbeddingRun(models.Model):
    """One pass of one model over one kind."""

    class State(models.TextChoices):
        """States of a run; the first three are open."""

        PLANNED = "planned", "Planned"
        RUNNING = "running", "Running"
        PAUSED = "paused", "Paused"
        FINISHED = "finished", "Finished"
        CANCELLED = "cancelled", "Cancelled"

    OPEN_STATES = (State.PLANNED, State.RUNNING, State.PAUSED)

    kind = models.CharField(max_length=9, choices=Kind)
    model = models.ForeignKey(EmbeddingModel, on_delete=models.CASCADE, related_name="runs")
    state = models.CharField(max_length=9, choices=State, default=State.PLANNED)
    reason = models.CharField(max_length=200, blank=True, help_text="Who or what requested the run")
    paused_because = models.CharField(max_length=500, blank=True)
    pauses = models.PositiveSmallIntegerField(default=0, help_text="Pauses since a chunk was last written")
    resume_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When the sweeper resumes a paused run; empty: when somebody does",
    )
    pulled_from = models.CharField(
        max_length=200,
        blank=True,
        help_text="Embedding server that supplies the vectors; empty: local workers embed",
    )
    rows = models.PositiveIntegerField(default=0)
    bytes_total = models.PositiveBigIntegerField(
        default=0, help_text="Length of the texts, as far as the model reads them"
    )
    waves = models.PositiveIntegerField(default=0)
    next_wave = models.PositiveIntegerField(default=0, help_text="The first wave that has not been sent")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    finishes = models.PositiveSmallIntegerField(
        default=0,
        help_text="How often it was finished: once, and once more after each replay",
    )
    indexed_at = models.DateTimeField(
        null=True, blank=True, help_text="When the indexes were checked or built, after the last chunk"
    )

    objects = EmbeddingRunQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "model"],
                condition=Q(state__in=["planned", "running", "paused"]),
                name="embedding_run_one_open",
            )
        ]

    def __str__(self) -> str:
        return f"Run {self.pk} over {self.get_kind_display().lower()}"

    @property
    def is_open(self) -> bool:
        """Whether the run is planned, running or paused."""
        return self.state in self.OPEN_STATES

    @property
    def is_paused_by_hand(self) -> bool:
        """Whether the run stays paused until somebody resumes it."""
        return self.state == self.State.PAUSED and self.resume_at is None

    def progress(self) -> "RunProgress":
        """Sums over the chunks of the run."""
        return RunProgress(self)


def progress_sums() -> dict[str, Sum]:
    """Aggregates over the chunks of a run, by the name that RunProgress gives them."""
    done = Q(state__in=[EmbeddingChunk.State.EMBEDDED, EmbeddingChunk.State.WRITTEN])
    return {
        "embedded": Sum("rows", filter=done),
        "text_bytes": Sum("text_bytes", filter=done),
        "written": Sum("rows_written"),
        "reused": Sum("rows_reused"),
        "dead": Sum("rows_dead"),
        "skipped": Sum("rows_skipped"),
        # Rows of chunks that ended without vectors or dead letters: the run was cancelled.
        "failed": Sum(
            F("rows") - F("rows_dead") - F("rows_skipped"), filter=Q(state=EmbeddingChunk.State.FAILED)
        ),
    }


class RunProgress:
    """Sums over the chunks of a run, in one query, or none if the run was read `with_progress`."""

    def __init__(self, run: EmbeddingRun) -> None:
        sums: dict[str, Any]
        if hasattr(run, "progress_sums"):
            # A run without chunks has no sums.
            sums = run.progress_sums or dict.fromkeys(progress_sums())
        else:
            sums = run.chunks.aggregate(**progress_sums())
        self.total: int = run.rows
        self.total_bytes: int = run.bytes_total
        self.embedded: int = sums["embedded"] or 0
        self.embedded_bytes: int = sums["text_bytes"] or 0
        self.written: int = sums["written"] or 0
        self.reused: int = sums["reused"] or 0
        self.dead: int = sums["dead"] or 0
        self.skipped: int = sums["skipped"] or 0
        self.failed: int = sums["failed"] or 0

    @property
    def percent(self) -> float:
        """Embedded share of the text, in percent; 100 for a run without text."""
        return 100 * self.embedded_bytes / self.total_bytes if self.total_bytes else 100.0


class EmbeddingChunk(models.Model):
    """The rows of one embed task. `vectors` are stored here only from the embedding to the writing."""

    class State(models.TextChoices):
        """States of a chunk; the last two are terminal."""

        PLANNED = "planned", "Planned"
        LEASED = "leased", "Being embedded"
        EMBEDDED = "embedded", "Embedded"
        WRITTEN = "written", "Written"
        FAILED = "failed", "Failed"

    TERMINAL_STATES = (State.WRITTEN, State.FAILED)

    run = models.ForeignKey(EmbeddingRun, on_delete=models.CASCADE, related_name="chunks")
    number = models.PositiveIntegerField()
    wave = models.PositiveIntegerField()
    state = models.CharField(max_length=8, choices=State, default=State.PLANNED)
    row_ids = ArrayField(models.BigIntegerField())
    rows = models.PositiveIntegerField()
    text_bytes = models.PositiveBigIntegerField(
        help_text="Length of the texts, as far as the model reads them"
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    isolated = models.BooleanField(
        default=False,
        help_text="Encoded in a subprocess: it cost workers, or its rows were dead letters",
    )
    lease = models.UUIDField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=200, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    embedded_at = models.DateTimeField(null=True, blank=True)
    written_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)

    embedded_ids = ArrayField(models.BigIntegerField(), null=True, blank=True)
    embedded_hashes = ArrayField(models.BinaryField(), null=True, blank=True)
    vectors = ArrayField(HalfVectorField(), null=True, blank=True)

    rows_written = models.PositiveIntegerField(default=0)
    rows_reused = models.PositiveIntegerField(
        default=0, help_text="Rows that share the vector of an equal text"
    )
    rows_skipped = models.PositiveIntegerField(
        default=0, help_text="Rows edited or deleted while the chunk was embedded"
    )
    rows_dead = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["run", "number"]
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="embedding_chunk_once")]
        indexes = [
            models.Index("run", "wave", name="embedding_chunk_by_wave"),
            models.Index(
                "run", "state", name="embedding_chunk_open", condition=~Q(state__in=["written", "failed"])
            ),
        ]

    def __str__(self) -> str:
        return f"Chunk {self.number} of run {self.run_id}"


class DeadLetterQuerySet(models.QuerySet["DeadLetter"]):
    """Queries over dead letters."""

    def open(self) -> Self:
        """Letters that wait for a decision."""
        return self.filter(state=DeadLetter.State.OPEN)

    def held(self) -> Self:
        """Open and discarded letters: their rows are not embedded until they are edited or replayed."""
        return self.filter(state__in=DeadLetter.HELD_STATES)


class DeadLetter(models.Model):
    """A row that could not be embedded, and why. Holds the key of the row and never its text.

    A letter is about the content that failed: editing the row makes it pending again.
    """

    class State(models.TextChoices):
        """States of a letter; the row of an open or discarded letter is held back."""

        OPEN = "open", "Open"
        REPLAYED = "replayed", "Replayed"  # the workers try the row again
        CLEARED = "cleared", "Cleared"  # the row was edited, deleted or embedded since
        DISCARDED = "discarded", "Discarded"  # somebody accepts that the row has no vector

    HELD_STATES = (State.OPEN, State.DISCARDED)

    kind = models.CharField(max_length=9, choices=Kind)
    row_id = models.BigIntegerField()
    model = models.ForeignKey(EmbeddingModel, on_delete=models.CASCADE, related_name="+")
    run = models.ForeignKey(
        EmbeddingRun, on_delete=models.SET_NULL, null=True, blank=True, related_name="dead_letters"
    )
    chunk = models.ForeignKey(
        EmbeddingChunk, on_delete=models.SET_NULL, null=True, blank=True, related_name="dead_letters"
    )
    content_hash = models.BinaryField()
    step = models.CharField(max_length=20)
    error = models.CharField(max_length=500)
    traceback = models.TextField(blank=True)
    attempts = models.PositiveSmallIntegerField(default=1)
    state = models.CharField(max_length=9, choices=State, default=State.OPEN)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = DeadLetterQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "row_id", "model"], condition=Q(state="open"), name="dead_letter_one_open"
            )
        ]
        indexes = [
            models.Index(
                "model",
                "kind",
                "row_id",
                name="dead_letter_held",
                condition=Q(state__in=["open", "discarded"]),
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.row_id}: {self.error}"


class Invalidation(models.Model):
    """The invalidation of caches that a run owes: delivered at least once to every sidecar."""

    run = models.OneToOneField(EmbeddingRun, on_delete=models.CASCADE, related_name="invalidation")
    created_at = models.DateTimeField(auto_now_add=True)
    acknowledged_by = ArrayField(models.CharField(max_length=200), default=list, blank=True)
    acknowledged_at = models.DateTimeField(
        null=True, blank=True, help_text="When the last sidecar acknowledged it"
    )
    attempts = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Invalidation of run {self.run_id}"
