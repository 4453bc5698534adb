"""Create, check and revoke bearer tokens."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from apps.access.models import AccessToken

PREFIX = "jobrec_"  # so that scanners of leaked secrets recognize these tokens
MAX_SECRET_CHARACTERS = 200
LAST_USED_PRECISION = timedelta(minutes=1)


def create_token(user: Any, *, name: str, expires_at: datetime | None = None) -> tuple[AccessToken, str]:
    """Create a token of `user`. Returns it and its secret, which is not stored."""
    secret = PREFIX + secrets.token_urlsafe(32)
    token = AccessToken.objects.create(
        user=user, name=name, digest=_digest(secret), hint=secret[:12], expires_at=expires_at
    )
    return token, secret


def user_of_token(secret: str) -> Any | None:
    """The active user who owns the valid token with this secret, or None. Records the use, to the minute."""
    if len(secret) > MAX_SECRET_CHARACTERS:
        return None
    now = timezone.now()
    token = AccessToken.objects.valid(now).filter(digest=_digest(secret)).select_related("user").first()
    if token is None:
        return None
    is_stale = Q(last_used_at=None) | Q(last_used_at__lt=now - LAST_USED_PRECISION)
    if token.last_used_at is None or token.last_used_at < now - LAST_USED_PRECISION:
        AccessToken.objects.filter(is_stale, pk=token.pk).update(last_used_at=now)
    return token.user


def revoke_token(token: AccessToken) -> bool:
    """Revoke the token. Returns whether it was not revoked before. Idempotent."""
    return bool(AccessToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now()))


def _digest(secret: str) -> bytes:
    # A random secret of 256 bits cannot be guessed, so it needs no slow hash.
    return hashlib.sha256(secret.encode()).digest()
