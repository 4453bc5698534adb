"""Interactions of candidates with postings, the full-text index, and options of the ranking."""

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from apps.candidates.models import Candidate
from apps.postings.models import Company, Posting


class Interaction(models.Model):
    """An action of a candidate on a posting, with the time of the latest one."""

    class Action(models.TextChoices):
        """What a candidate can do with a posting."""

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
    """An entry of the full-text index: the terms of a record's title or of its whole text, stemmed in its
    language.

    Derived like a vector: current while `content_hash` and `language` equal the record's (see text_index.py).
    In a table of its own, so that neither an import nor a change of the status pays for it.
    """

    class Part(models.IntegerChoices):
        """Short queries are answered best by titles, long ones by whole texts."""

        TITLE = 0
        WHOLE = 1

    part = models.PositiveSmallIntegerField(choices=Part)
    content_hash = models.BinaryField()
    language = models.CharField(max_length=8)
    terms = SearchVectorField()
    term_count = models.PositiveIntegerField(help_text="Number of distinct terms")

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return str(self.pk)


def _content_index(key: str) -> models.Index:
    """Tells whether an entry is current, without reading the table."""
    return models.Index(
        fields=[key],
        include=["content_hash", "language"],
        condition=models.Q(part=RecordText.Part.WHOLE),
        name=f"{key}_text_content",
    )


class PostingText(RecordText):
    """An entry of the full-text index of postings."""

    pk = models.CompositePrimaryKey("posting_id", "part")
    posting = models.ForeignKey(
        Posting, on_delete=models.CASCADE, related_name="texts", db_index=False, db_constraint=False
    )

    class Meta:
        indexes = [
            GinIndex(fields=["terms"], name="posting_text_by_term"),
            models.Index("language", name="posting_text_by_language"),
            _content_index("posting"),
        ]


class CandidateText(RecordText):
    """An entry of the full-text index of candidates."""

    pk = models.CompositePrimaryKey("candidate_id", "part")
    candidate = models.ForeignKey(
        Candidate, on_delete=models.CASCADE, related_name="texts", db_index=False, db_constraint=False
    )

    class Meta:
        indexes = [
            GinIndex(fields=["terms"], name="candidate_text_by_term"),
            models.Index("language", name="candidate_text_by_language"),
            _content_index("candidate"),
        ]


class SponsoredPosting(models.Model):
    """A posting that is ranked higher for a time. How much higher is a ranking option."""

    posting = models.OneToOneField(
        Posting, on_delete=models.CASCADE, related_name="sponsorship", db_constraint=False
    )
    until = models.DateTimeField(null=True, blank=True, help_text="Empty: until it is removed from the list")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Posting {self.posting_id}"


def _weight(help_text: str) -> "models.FloatField[float | None, float | None]":
    return models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(0), MaxValueValidator(100)], help_text=help_text
    )


class RankingOptions(models.Model):
    """What the admin changes of the ranking; at most one row. An empty field leaves the file's as it is.

    Weights compare with those of the file, where that of the vector is 0.42.
    """

    freshness = _weight("Weight of how recently a posting was published")
    own_company = _weight("Weight of being a posting of the companies below")
    own_companies = models.ManyToManyField(Company, blank=True, related_name="+")
    sponsored = _weight("Weight of being a sponsored posting")
    company_cap = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text="Maximum postings of one company among the first places; 0 is no limit",
    )
    capped_places = models.PositiveSmallIntegerField(
        default=10,
        validators=[MinValueValidator(1)],
        help_text="Number of first places that the limit is for",
    )

    class Meta:
        verbose_name_plural = "ranking options"

    def __str__(self) -> str:
        return "Ranking options"

    def weights(self) -> dict[str, float]:
        """The weights that are set, by the name of the part."""
        names = ("freshness", "own_company", "sponsored")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


class PostingGroup(models.Model):
    """Postings that are copies of each other; a list shows one of them."""

    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name = "group of copies"
        verbose_name_plural = "groups of copies"

    def __str__(self) -> str:
        return f"Group {self.pk}"


class PostingCopy(models.Model):
    """The group of a posting, and the keys by which its copies are found (see copies.py).

    In a table of its own, so that neither an import nor a change of the status pays for it. `is_settled`: a
    person decided, so that the rules leave it alone. `is_near`: in the group for its vector, not for a key.
    """

    posting = models.OneToOneField(
        Posting, on_delete=models.CASCADE, primary_key=True, related_name="copy", db_constraint=False
    )
    group = models.ForeignKey(
        PostingGroup, on_delete=models.SET_NULL, null=True, blank=True, related_name="members"
    )
    title_key = models.BigIntegerField(null=True, editable=False)
    text_key = models.BigIntegerField(null=True, editable=False)
    is_settled = models.BooleanField(default=False, db_default=False, verbose_name="settled by a person")
    is_near = models.BooleanField(default=False, db_default=False, editable=False)
    compared_hash = models.BinaryField(
        null=True, editable=False, help_text="Content hash of the vector that was last compared with others"
    )

    class Meta:
        verbose_name = "copy"
        verbose_name_plural = "copies"
        indexes = [
            models.Index(fields=["title_key", "posting"], name="copy_by_title"),
            models.Index(fields=["text_key", "posting"], name="copy_by_text"),
        ]

    def __str__(self) -> str:
        return str(self.posting_id)
