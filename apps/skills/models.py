"""Tables of the dictionary of skills, and the base of the tables that give records their skills."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower


class SkillCategory(models.Model):
    """A group of skills."""

    name = models.CharField(max_length=100, unique=True)

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "skill categories"

    def __str__(self) -> str:
        return self.name


class Skill(models.Model):
    """A skill. Renaming one changes the text of the rows that have it, so their vectors become pending."""

    UNLISTED: ClassVar[str] = (
        "Unlisted"  # the category of skills that a source stated and the dictionary lacks
    )

    name = models.CharField(max_length=100)
    category = models.ForeignKey(SkillCategory, on_delete=models.PROTECT, related_name="skills")
    in_text = models.BooleanField(
        "search in text",
        default=True,
        help_text="Turn off for names that are ordinary words (Go, R); aliases still count.",
    )
    candidates_only = models.BooleanField(
        default=False,
        db_default=False,
        editable=False,
        help_text="Unlisted, and no posting names it: only readers who may see candidates see it",
    )

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(Lower("name"), name="skill_name_once_in_any_case")]
        indexes = [
            models.Index(fields=["id"], condition=Q(candidates_only=True), name="skill_of_candidates_only")
        ]

    def __str__(self) -> str:
        return self.name


class SkillAlias(models.Model):
    """Another spelling of a skill: react.js for React, k8s for Kubernetes."""

    name = models.CharField(max_length=100)
    skill = models.ForeignKey(Skill, on_delete=models.CASCADE, related_name="aliases")

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "skill aliases"
        constraints = [models.UniqueConstraint(Lower("name"), name="skill_alias_once_in_any_case")]

    def __str__(self) -> str:
        return self.name


class SkillUse(models.Model):
    """A skill of a posting or candidate: the base of both tables."""

    class Origin(models.TextChoices):
        """How the record came to have the skill."""

        STATED = "stated", "Stated by the source"
        FOUND = "found", "Found in the text"

    skill = models.ForeignKey(Skill, on_delete=models.PROTECT, related_name="+")
    origin = models.CharField(max_length=6, choices=Origin, default=Origin.STATED)

    class Meta:
        abstract = True
