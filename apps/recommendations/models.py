from django.db import models

from apps.candidates.models import Candidate
from apps.postings.models import Posting


class Interaction(models.Model):
    """The latest of each action of a candidate on a posting."""

    class Action(models.TextChoices):
        VIEWED = "viewed", "Viewed"
        SAVED = "saved", "Saved"
        APPLIED = "applied", "Applied"
        DISMISSED = "dismissed", "Dismissed"

    candidate = models.ForeignKey(
        Candidate, on_delete=models.CASCADE, related_name="interactions", db_constraint=False
    )
    posting = models.ForeignKey(
        Posting, on_delete=models.CASCADE, related_name="interactions", db_constraint=False
    )
    action = models.CharField(max_length=9, choices=Action)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-at"]
        constraints = [
            models.UniqueConstraint(
                fields=["candidate", "posting", "action"], name="interaction_once_per_action"
            )
        ]

    def __str__(self) -> str:
        return f"{self.action} posting {self.posting_id}"
