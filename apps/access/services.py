"""Bearer tokens: making, recognising and revoking them."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from apps.access.models import AccessToken

PREFIX = "jobrec_"  # lets a scanner of leaked secrets recognise ours
LONGEST = 200  # characters; a longer one is none of ours
TOUCH_EVERY = timedelta(minutes=1)


def create_token(user: Any, *, name: str, expires_at: datetime | None = None) -> tuple[AccessToken, str]:
    """A new token of `user`, and its secret, which nothing can tell again."""
    secret = PREFIX + secrets.token_urlsafe(32)
    token = AccessToken.objects.create(
        user=user, name=name, digest=_digest(secret), hint=secret[:12], expires_at=expires_at
    )
    return token, secret


def user_of_token(secret: str) -> Any | None:
    """The active user whose valid token has this secret; None where there is none. Notes the use, to the minute."""
    if len(secret) > LONGEST:
        return None
    now = timezone.now()
    token = AccessToken.objects.valid(now).filter(digest=_digest(secret)).select_related("user").first()
    if token is None:
        return None
    unnoted = Q(last_used_at=None) | Q(last_used_at__lt=now - TOUCH_EVERY)
    if token.last_used_at is None or token.last_used_at < now - TOUCH_EVERY:
        AccessToken.objects.filter(unnoted, pk=token.pk).update(last_used_at=now)
    return token.user


def revoke_token(token: AccessToken) -> bool:
    """Makes the token useless from now on; whether it was not so before. Idempotent."""
    return bool(AccessToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now()))


def _digest(secret: str) -> bytes:
    # A random secret of 256 bits needs no slow hash: it cannot be guessed, whatever the speed.
    return hashlib.sha256(secret.encode()).digest()
