"""Tables of companies, postings and the skills of postings."""

from datetime import datetime
from typing import Any, Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper
from django.utils import timezone

from apps.records.models import ContentHash, Record, content_index, import_indexes, salary_per_year_field
from apps.records.normalizing.company_names import folded_company
from apps.skills.models import Skill, SkillUse


class Company(models.Model):
    """An employer. `folded_name` is the name without case, spacing, punctuation and legal form."""

    name = models.CharField(max_length=200, unique=True)
    folded_name = models.CharField(max_length=200, db_index=True, editable=False, default="", db_default="")

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "companies"
        indexes = [models.Index(Upper("name"), name="company_by_name_any_case")]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the company with its folded name."""
        self.folded_name = folded_company(self.name)
        super().save(*args, **kwargs)


class EmploymentType(models.TextChoices):
    """The kind of contract that a posting offers."""

    FULL_TIME = "full_time", "Full time"
    PART_TIME = "part_time", "Part time"
    CONTRACT = "contract", "Contract"
    TEMPORARY = "temporary", "Temporary"
    INTERNSHIP = "internship", "Internship"


class PostingQuerySet(models.QuerySet["Posting"]):
    """Queries over postings."""

    def open(self, at: datetime | None = None) -> Self:
        """Keep postings that take applications at the moment `at` (default: now)."""
        moment = at or timezone.now()
        return self.filter(Q(closes_at=None) | Q(closes_at__gt=moment), status=Posting.Status.OPEN)


class Posting(Record):
    """A job posting."""

    class Status(models.TextChoices):
        """Whether the posting takes applications."""

        OPEN = "open", "Open"
        CLOSED = "closed", "Closed"

    title = models.CharField(max_length=500)
    company = models.ForeignKey(
        Company, on_delete=models.PROTECT, null=True, blank=True, related_name="postings"
    )
    description = models.TextField(blank=True, default="", help_text="Markdown")
    employment_type = models.CharField(max_length=10, choices=EmploymentType, blank=True)
    salary_max = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    job_family = models.CharField(max_length=120, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)
    closes_at = models.DateTimeField(null=True, blank=True)
    status = models.CharField(max_length=6, choices=Status, default=Status.OPEN)
    missing_since = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="Closed since a complete file of its source did not hold it; open again when one does",
    )
    skills = models.ManyToManyField(Skill, through="PostingSkill", related_name="postings")

    salary_per_year = salary_per_year_field("salary_max", "salary_min")
    content_hash = models.GeneratedField(
        expression=ContentHash("title", "skills_text", "description"),
        output_field=models.BinaryField(),
        db_persist=True,
    )

    objects = PostingQuerySet.as_manager()

    class Meta:
        ordering = ["-published_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["source", "external_id"], name="posting_once_per_source"),
            models.CheckConstraint(
                condition=Q(salary_max__gte=F("salary_min")), name="posting_salary_max_at_least_min"
            ),
        ]
        indexes = [
            models.Index(
                F("published_at").desc(nulls_last=True), F("id").desc(), name="posting_newest_first"
            ),
            models.Index(
                F("salary_per_year").desc(nulls_last=True), F("id").desc(), name="posting_best_paid_first"
            ),
            models.Index(
                F("updated_at").desc(nulls_last=True), F("id").desc(), name="posting_last_changed_first"
            ),
            models.Index(Upper("job_family"), name="posting_by_job_family", condition=~Q(job_family="")),
            models.Index("salary_currency", "salary_per_year", name="posting_by_salary"),
            content_index("posting"),
            *import_indexes("posting"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_open(self) -> bool:
        """True while the posting takes applications."""
        return self.status == self.Status.OPEN and (self.closes_at is None or self.closes_at > timezone.now())


class PostingSkill(SkillUse):
    """A skill of a posting."""

    posting = models.ForeignKey(
        Posting,
        on_delete=models.CASCADE,
        related_name="skill_uses",
        db_index=False,  # the index of the unique constraint begins with this column
        db_constraint=False,
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["posting", "skill"], name="posting_skill_once")]

    def __str__(self) -> str:
        return f"{self.skill} ({self.origin})"
