"""Bearer tokens."""

from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

MAX_NAME_CHARACTERS = 100


class AccessTokenQuerySet(models.QuerySet["AccessToken"]):
    """Queries over tokens."""

    def valid(self, at: datetime | None = None) -> Self:
        """Tokens of active users that are neither revoked nor expired at the moment `at`, by default now."""
        moment = at or timezone.now()
        unexpired = Q(expires_at=None) | Q(expires_at__gt=moment)
        return self.filter(unexpired, revoked_at=None, user__is_active=True)


class AccessToken(models.Model):
    """A token with which a program acts as `user`. Only the digest of its secret is stored."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="access_tokens")
    name = models.CharField(max_length=MAX_NAME_CHARACTERS, help_text="What the token is for")
    digest = models.BinaryField(unique=True, editable=False, help_text="SHA-256 of the secret")
    hint = models.CharField(max_length=12, editable=False, help_text="How the secret begins")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: never")
    last_used_at = models.DateTimeField(null=True, editable=False, help_text="To the minute")
    revoked_at = models.DateTimeField(null=True, editable=False)

    objects = AccessTokenQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}…)"

    @property
    def state(self) -> str:
        """One of valid, expired and revoked."""
        if self.revoked_at is not None:
            return "revoked"
        expired = self.expires_at is not None and self.expires_at <= timezone.now()
        return "expired" if expired else "valid"
