"""The table of published statistics."""

from django.db import models


class PublishedStatistics(models.Model):
    """The figures of one kind of people that everybody sees, with the exact counts that they are made of."""

    kind = models.CharField(max_length=9, primary_key=True)
    counts = models.JSONField(
        null=True, help_text="Exact counts, never shown: see apps/statistics/privacy.py"
    )
    figures = models.JSONField(null=True, help_text="The figures as they are shown")
    published_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "published statistics"

    def __str__(self) -> str:
        return f"Published statistics of {self.kind}"
