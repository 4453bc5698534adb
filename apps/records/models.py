"""The columns and indexes that postings and candidates share."""

from uuid import uuid4

from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce, Now, Upper


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
    skills_text = models.TextField(blank=True, default="", editable=False, db_default="")
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    class Meta:
        abstract = True


def content_index(prefix: str) -> models.Index:
    """Return a covering index that tells which vectors and full-text entries are current."""
    return models.Index(fields=["id"], include=["content_hash", "language"], name=f"{prefix}_content")


def place_indexes(prefix: str) -> list[models.Index]:
    """Return the indexes of the case-insensitive location filter."""
    return [
        models.Index(Upper(column), name=f"{prefix}_by_{column}", condition=~Q(**{column: ""}))
        for column in ("city", "region", "country")
    ]
