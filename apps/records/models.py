"""The columns and indexes that postings and candidates share."""

from uuid import uuid4

import orjson
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce, Now


def new_external_id() -> str:
    """Return an external id for a row written by hand in the admin, which no source has named."""
    return uuid4().hex


class EnglishLevel(models.IntegerChoices):
    """Levels of English in rising order; the labels name the CEFR levels in parentheses."""

    NONE = 0, "No English"
    BASIC = 1, "Basic (A1)"
    PRE_INTERMEDIATE = 2, "Pre-intermediate (A2)"
    INTERMEDIATE = 3, "Intermediate (B1)"
    UPPER_INTERMEDIATE = 4, "Upper-intermediate (B2)"
    FLUENT = 5, "Fluent (C1, C2)"


class SalaryPeriod(models.TextChoices):
    """What a salary is paid for."""

    HOUR = "hour", "per hour"
    DAY = "day", "per day"
    WEEK = "week", "per week"
    MONTH = "month", "per month"
    YEAR = "year", "per year"


# Full-time periods in a year of 52 weeks of 40 hours, to compare salaries of different periods.
UNITS_PER_YEAR = {"hour": 2080, "day": 260, "week": 52, "month": 12, "year": 1}


class ContentHash(models.Func):
    """The content hash of text columns, computed by PostgreSQL no matter who writes the row."""

    function = "jobrec_content_hash"
    output_field = models.BinaryField()


class PlaceNames(models.Func):
    """Folded names that find a row's places (migration 0003).

    They are "berlin", "de", "berlin|de" and so on, and for a place with coordinates the square degree around
    it, such as "@52,13": the first latitude and longitude are 52.something and 13.something.
    """

    function = "jobrec_place_names"
    output_field = ArrayField(models.TextField())


def per_year(amount: models.F | Coalesce) -> models.Case:
    """Return a salary column as an amount per year, NULL where the column is NULL."""
    return models.Case(
        *(models.When(salary_period=period, then=amount * units) for period, units in UNITS_PER_YEAR.items())
    )


def salary_per_year_field(*columns: str) -> models.GeneratedField:
    """Return a generated column: the first of `columns` that is not NULL, as an amount per year."""
    return models.GeneratedField(
        expression=per_year(Coalesce(*columns) if len(columns) > 1 else models.F(columns[0])),
        output_field=models.DecimalField(max_digits=16, decimal_places=2),
        db_persist=True,
    )


class Record(models.Model):
    """A row that came from `source`, where its key is `external_id`.

    `skills_text` holds the sorted names of the row's skills; triggers maintain it (apps/skills/triggers.py).
    PostgreSQL generates `content_hash` from all embedded columns. A vector is current exactly when the hash
    stored with it equals the row's, so every way of editing a row is covered.
    """

    source = models.CharField(max_length=64, default="manual")
    external_id = models.CharField(max_length=200, default=new_external_id)
    language = models.CharField(
        max_length=8, default="en", help_text="Code of the text's language, such as en or de"
    )
    city = models.CharField(max_length=120, blank=True)
    region = models.CharField(max_length=120, blank=True)
    country = models.CharField(max_length=120, blank=True)
    remote = models.BooleanField(default=False)
    experience_years = models.DecimalField(max_digits=4, decimal_places=1, null=True, blank=True)
    english_level = models.PositiveSmallIntegerField(choices=EnglishLevel, null=True, blank=True)
    salary_min = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    salary_currency = models.CharField(max_length=3, blank=True, help_text="ISO 4217, such as USD")
    salary_period = models.CharField(max_length=5, choices=SalaryPeriod, default=SalaryPeriod.YEAR)
    salary_text = models.CharField(
        max_length=300, blank=True, default="", db_default="", help_text="The salary as the source writes it"
    )
    places = models.JSONField(
        default=list,
        db_default=models.Value([], models.JSONField()),
        blank=True,
        help_text="All places, where there are several; the first one is also in city, region and country",
    )
    coordinates = ArrayField(
        models.FloatField(null=True),
        default=list,
        db_default=models.Value("{}"),
        blank=True,
        editable=False,
        help_text="Latitude and longitude in degrees of each place in turn, both NULL where a place has none",
    )
    place_names = models.GeneratedField(
        expression=PlaceNames("city", "region", "country", "places", "coordinates"),
        output_field=ArrayField(models.TextField()),
        db_persist=True,
    )
    hand_edits = models.JSONField(
        default=dict,
        db_default=models.Value({}, models.JSONField()),
        blank=True,
        editable=False,
        help_text="Fields that a person changed, kept against imports; see apps/records/hand_edits.py",
    )
    skills_text = models.TextField(blank=True, default="", editable=False, db_default="")
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    class Meta:
        abstract = True


def content_index(prefix: str) -> models.Index:
    """Return a covering index that tells which vectors and full-text entries are current."""
    return models.Index(fields=["id"], include=["content_hash", "language"], name=f"{prefix}_content")


def import_indexes(prefix: str) -> list[models.Index]:
    """Return the indexes of one record table by which places and rows edited by hand are found."""
    return [
        GinIndex(
            fields=["place_names"], name=f"{prefix}_by_place", opclasses=["array_ops"], fastupdate=False
        ),
        models.Index(
            fields=["source", "external_id"], name=f"{prefix}_edited_by_hand", condition=~Q(hand_edits={})
        ),
    ]


class Import(models.Model):
    """One reading of one file of one source: what was read, by whom, and what became of its rows.

    `digest` is the SHA-256 of the file's bytes and `mapping` the mapping file's text; together they tell a
    repeated import from a new one. `reasons` lists what was not understood, the most frequent first; see
    `Tally.report`.
    """

    class State(models.TextChoices):
        """Where an import is. One that was killed is found interrupted by the next import of its source."""

        RUNNING = "running", "Running"
        FINISHED = "finished", "Finished"
        FAILED = "failed", "Failed"
        INTERRUPTED = "interrupted", "Interrupted"

    kind = models.CharField(max_length=9, choices=[("posting", "Postings"), ("candidate", "Candidates")])
    source = models.CharField(max_length=64)
    file = models.CharField(max_length=2_000, help_text="Path or address")
    digest = models.CharField(max_length=64, blank=True)
    mapping = models.TextField(blank=True)
    by = models.CharField("who", max_length=150, blank=True)
    state = models.CharField(max_length=11, choices=State, default=State.RUNNING)
    error = models.TextField(blank=True)
    started_at = models.DateTimeField(auto_now_add=True)
    beat_at = models.DateTimeField(auto_now_add=True, help_text="Last sign of life")
    finished_at = models.DateTimeField(null=True, blank=True)
    complete = models.BooleanField(default=False, help_text="The file holds all rows of the source")
    rows = models.PositiveBigIntegerField(default=0)
    inserted = models.PositiveBigIntegerField(default=0)
    updated = models.PositiveBigIntegerField(default=0)
    unchanged = models.PositiveBigIntegerField(default=0)
    repeated = models.PositiveBigIntegerField(default=0)
    rejected = models.PositiveBigIntegerField(default=0)
    conflicts = models.PositiveBigIntegerField(default=0)
    closed = models.PositiveBigIntegerField(default=0)
    reasons = models.JSONField(default=dict)
    etag = models.CharField(max_length=300, blank=True)
    last_modified = models.CharField(max_length=100, blank=True)
    continues = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["source", "kind", "-id"], name="import_by_source")]

    def __str__(self) -> str:
        return f"{self.file} ({self.source})"

    def counted(self) -> str:
        """Return the counts in words."""
        names = ("inserted", "updated", "unchanged", "repeated", "rejected", "conflicts", "closed")
        counts = [f"{getattr(self, name):,} {name}" for name in names if getattr(self, name)]
        return f"{self.rows:,} rows" + (f": {', '.join(counts)}" if counts else "")


class ImportNote(models.Model):
    """One row of an import that a person should see: a rejected one, or a conflict with an edit by hand."""

    class Kind(models.TextChoices):
        """Why the row is listed."""

        REJECTED = "rejected", "Rejected"
        CONFLICT = "conflict", "Conflict with an edit by hand"

    of = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="notes")
    kind = models.CharField(max_length=8, choices=Kind)
    line = models.PositiveBigIntegerField(default=0)
    external_id = models.CharField(max_length=200, blank=True)
    reasons = models.JSONField(default=list)
    row = models.JSONField(null=True, blank=True, help_text="The row as it was; None where it cannot be read")

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: line {self.line}" if self.line else self.get_kind_display()

    def in_words(self) -> str:
        """Return the reasons in one line."""
        return "; ".join(
            f"{each['field']}: {each['reason']}" if each["field"] else each["reason"] for each in self.reasons
        )

    def as_rejected_line(self, file: str) -> bytes:
        """Return the note as a line of a rejects file."""
        content = {"file": file, "line": self.line, "reasons": self.reasons, "row": self.row or {}}
        if self.external_id:
            content["external_id"] = self.external_id
        return orjson.dumps(content) + b"\n"


class Sighting(models.Model):
    """When a row was last in a file of its source, in a table of its own so that the row is not written."""

    kind = models.CharField(max_length=9)
    row_id = models.PositiveBigIntegerField()
    seen_in = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="+")
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "row_id"], name="sighting_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.row_id}"
