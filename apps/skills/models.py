"""Skills as postings ask for them and candidates name them."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Lower


class SkillCategory(models.Model):
    name = models.CharField(max_length=100, unique=True)

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "skill categories"

    def __str__(self) -> str:
        return self.name


class Skill(models.Model):
    """`name` is the form shown to people. Renaming it makes the rows that have the skill pending again."""

    UNLISTED: ClassVar[str] = (
        "Unlisted"  # the category of skills that a source named and the dictionary lacks
    )

    name = models.CharField(max_length=100)
    category = models.ForeignKey(SkillCategory, on_delete=models.PROTECT, related_name="skills")
    in_text = models.BooleanField(
        "look for in text",
        default=True,
        help_text="Off where the bare name is an ordinary word (Go, R, Spring): then only its aliases are looked for.",
    )

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(Lower("name"), name="skill_name_once_in_any_case")]

    def __str__(self) -> str:
        return self.name


class SkillAlias(models.Model):
    """Another way to write a skill: react.js → React, k8s → Kubernetes."""

    name = models.CharField(max_length=100)
    skill = models.ForeignKey(Skill, on_delete=models.CASCADE, related_name="aliases")

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "skill aliases"
        constraints = [models.UniqueConstraint(Lower("name"), name="skill_alias_once_in_any_case")]

    def __str__(self) -> str:
        return self.name


class SkillUse(models.Model):
    """Base of the tables that join a posting or a candidate with its skills."""

    class Origin(models.TextChoices):
        STATED = "stated", "Stated by the source"
        FOUND = "found", "Found in the text"

    skill = models.ForeignKey(Skill, on_delete=models.PROTECT, related_name="+")
    origin = models.CharField(max_length=6, choices=Origin, default=Origin.STATED)

    class Meta:
        abstract = True
