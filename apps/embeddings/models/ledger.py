"""The ledger: what was planned, what was done, what failed for good, what the caches have yet to hear."""

from typing import Any, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, OuterRef, Q, Subquery, Sum
from django.db.models.functions import JSONObject
from pgvector.django import HalfVectorField

from apps.embeddings.models.vectors import EmbeddingModel, Kind


class EmbeddingRunQuerySet(models.QuerySet["EmbeddingRun"]):
    def unfinished(self) -> Self:
        return self.filter(state__in=EmbeddingRun.OPEN_STATES)

    def with_progress(self) -> Self:
        """Runs whose progress is read along with them."""
        chunks = EmbeddingChunk.objects.filter(run=OuterRef("pk")).order_by().values("run")
        sums = chunks.annotate(sums=JSONObject(**progress_sums())).values("sums")
        return self.annotate(progress_sums=Subquery(sums))


class EmbeddingRun(models.Model):
    """One pass of one model over one kind."""

    class State(models.TextChoices):
        PLANNED = "planned", "Planned"
        RUNNING = "running", "Running"
        PAUSED = "paused", "Paused"
        FINISHED = "finished", "Finished"
        CANCELLED = "cancelled", "Cancelled"

    OPEN_STATES = (State.PLANNED, State.RUNNING, State.PAUSED)

    kind = models.CharField(max_length=9, choices=Kind)
    model = models.ForeignKey(EmbeddingModel, on_delete=models.CASCADE, related_name="runs")
    state = models.CharField(max_length=9, choices=State, default=State.PLANNED)
    reason = models.CharField(max_length=200, blank=True, help_text="Who or what asked for the run")
    paused_because = models.CharField(max_length=500, blank=True)
    pauses = models.PositiveSmallIntegerField(default=0, help_text="Pauses since a chunk was last written")
    resume_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When a paused run goes on by itself; empty: when somebody resumes it",
    )
    pulled_from = models.CharField(
        max_length=200,
        blank=True,
        help_text="The embedding server elsewhere whose vectors are taken; empty: the workers here embed",
    )
    rows = models.PositiveIntegerField(default=0)
    octets = models.PositiveBigIntegerField(default=0)
    waves = models.PositiveIntegerField(default=0)
    next_wave = models.PositiveIntegerField(default=0, help_text="The first wave that was not sent yet")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    finishes = models.PositiveSmallIntegerField(
        default=0, help_text="How often it was finished: once, and again after each replay that reopened it"
    )
    prepared_at = models.DateTimeField(
        null=True, blank=True, help_text="When the indexes were seen to, after the last chunk"
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
        return self.state in self.OPEN_STATES

    @property
    def is_paused_by_hand(self) -> bool:
        """And so until somebody lets it go on."""
        return self.state == self.State.PAUSED and self.resume_at is None

    def progress(self) -> "RunProgress":
        return RunProgress(self)


def progress_sums() -> dict[str, Sum]:
    """What is summed over the chunks of a run."""
    done = Q(state__in=[EmbeddingChunk.State.EMBEDDED, EmbeddingChunk.State.WRITTEN])
    return {
        "embedded": Sum("rows", filter=done),
        "octets": Sum("octets", filter=done),
        "written": Sum("rows_written"),
        "reused": Sum("rows_reused"),
        "dead": Sum("rows_dead"),
        "skipped": Sum("rows_skipped"),
        # Given up, and no dead letter says why.
        "failed": Sum(
            F("rows") - F("rows_dead") - F("rows_skipped"), filter=Q(state=EmbeddingChunk.State.FAILED)
        ),
    }


class RunProgress:
    """Sums over a run's chunks, read in one query; in none where the run was read `with_progress`."""

    def __init__(self, run: EmbeddingRun) -> None:
        sums: dict[str, Any]
        if hasattr(run, "progress_sums"):
            # A run without chunks has no sums.
            sums = run.progress_sums or dict.fromkeys(progress_sums())
        else:
            sums = run.chunks.aggregate(**progress_sums())
        self.total: int = run.rows
        self.total_octets: int = run.octets
        self.embedded: int = sums["embedded"] or 0
        self.octets: int = sums["octets"] or 0
        self.written: int = sums["written"] or 0
        self.reused: int = sums["reused"] or 0
        self.dead: int = sums["dead"] or 0
        self.skipped: int = sums["skipped"] or 0
        self.failed: int = sums["failed"] or 0

    @property
    def percent(self) -> float:
        return 100 * self.octets / self.total_octets if self.total_octets else 100.0


class EmbeddingChunk(models.Model):
    """The rows of one embed task. `vectors` stand here only between the embedding and the writing."""

    class State(models.TextChoices):
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
    octets = models.PositiveBigIntegerField(help_text="Length of the texts, as far as the model reads them")
    attempts = models.PositiveSmallIntegerField(default=0)
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
    rows_reused = models.PositiveIntegerField(default=0, help_text="Took the vector of an equal text")
    rows_skipped = models.PositiveIntegerField(default=0, help_text="Edited or deleted meanwhile")
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
    def open(self) -> Self:
        return self.filter(state=DeadLetter.State.OPEN)

    def held(self) -> Self:
        """Those whose row is not tried again by itself, and can be replayed."""
        return self.filter(state__in=DeadLetter.HELD_STATES)


class DeadLetter(models.Model):
    """A row that cannot be embedded, and why. Holds the row's key and never its text.

    Bound to the content that failed: editing the row makes it pending again whatever this says.
    """

    class State(models.TextChoices):
        OPEN = "open", "Open"
        REPLAYED = "replayed", "Replayed"  # given back to the workers
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
    """What the web tier's caches have yet to hear of a run: at least once, to every sidecar."""

    run = models.OneToOneField(EmbeddingRun, on_delete=models.CASCADE, related_name="invalidation")
    created_at = models.DateTimeField(auto_now_add=True)
    acknowledged_by = ArrayField(models.CharField(max_length=200), default=list, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True, help_text="When the last sidecar answered")
    attempts = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Invalidation of run {self.run_id}"
