"""Tables of candidates and their skills."""

from django.conf import settings
from django.db import models
from django.db.models import F

from apps.records.models import ContentHash, Record, content_index, import_indexes, salary_per_year_field
from apps.skills.models import Skill, SkillUse


class Candidate(Record):
    """A person who seeks a job. `salary_min` is the expected salary; `remote` means wanting remote work."""

    headline = models.CharField(max_length=500, blank=True)
    resume = models.TextField("résumé", blank=True, default="", help_text="Markdown")
    looking_for = models.TextField(blank=True, default="")
    skills = models.ManyToManyField(Skill, through="CandidateSkill", related_name="candidates")
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="candidate",
        help_text="The account that may read and edit this candidate",
    )

    salary_per_year = salary_per_year_field("salary_min")
    content_hash = models.GeneratedField(
        expression=ContentHash("headline", "skills_text", "looking_for", "resume"),
        output_field=models.BinaryField(),
        db_persist=True,
    )

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["source", "external_id"], name="candidate_once_per_source")
        ]
        indexes = [
            models.Index(
                F("experience_years").desc(nulls_last=True),
                F("id").desc(),
                name="candidate_experienced_first",
            ),
            models.Index(
                F("updated_at").desc(nulls_last=True), F("id").desc(), name="candidate_last_changed_first"
            ),
            models.Index("salary_currency", "salary_per_year", name="candidate_by_salary"),
            content_index("candidate"),
            *import_indexes("candidate"),
        ]

    def __str__(self) -> str:
        return self.headline or f"Candidate {self.external_id}"


class CandidateSkill(SkillUse):
    """A skill of a candidate."""

    candidate = models.ForeignKey(
        Candidate,
        on_delete=models.CASCADE,
        related_name="skill_uses",
        db_index=False,  # the index of the unique constraint begins with this column
        db_constraint=False,
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["candidate", "skill"], name="candidate_skill_once")]

    def __str__(self) -> str:
        return f"{self.skill} ({self.origin})"
