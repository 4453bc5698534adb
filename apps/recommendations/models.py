from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
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


class RecordText(models.Model):
    """The words of a record for full-text search, in the forms that the record's language reduces them to.

    Derived, like a vector: current while `content_hash` and `language` equal the record's (apps/recommendations/
    text_index.py). Beside the record and not in it, so that neither an import nor an edit of the status pays for it.
    """

    class Part(models.IntegerChoices):
        """A search of a few words is answered by titles, a long one by whole texts: both stand here."""

        TITLE = 0
        WHOLE = 1

    part = models.PositiveSmallIntegerField(choices=Part)
    content_hash = models.BinaryField()
    language = models.CharField(max_length=8)
    words = SearchVectorField()
    length = models.PositiveIntegerField(help_text="Different words")

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return str(self.pk)


def _content_index(key: str) -> models.Index:
    """What tells whether words are current; a search reads the rest."""
    return models.Index(
        fields=[key],
        include=["content_hash", "language"],
        condition=models.Q(part=RecordText.Part.WHOLE),
        name=f"{key}_text_content",
    )


class PostingText(RecordText):
    pk = models.CompositePrimaryKey("posting_id", "part")
    posting = models.ForeignKey(
        Posting, on_delete=models.CASCADE, related_name="texts", db_index=False, db_constraint=False
    )

    class Meta:
        indexes = [
            GinIndex(fields=["words"], name="posting_text_by_word"),
            models.Index("language", name="posting_text_by_language"),
            _content_index("posting"),
        ]


class CandidateText(RecordText):
    pk = models.CompositePrimaryKey("candidate_id", "part")
    candidate = models.ForeignKey(
        Candidate, on_delete=models.CASCADE, related_name="texts", db_index=False, db_constraint=False
    )

    class Meta:
        indexes = [
            GinIndex(fields=["words"], name="candidate_text_by_word"),
            models.Index("language", name="candidate_text_by_language"),
            _content_index("candidate"),
        ]
