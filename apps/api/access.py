"""Permissions of the user who asks. Roles are Django groups with permissions, given in the admin."""

from typing import Any

from apps.api.errors import ForbiddenError, UnauthenticatedError

User = Any  # django.contrib.auth's swappable user


def user_of(info: Any) -> User:
    """The user of an execution; Django's AnonymousUser if nobody is signed in."""
    return info.context.user


def name_of(info: Any) -> str:
    """The name under which edits of the user are noted."""
    return str(user_of(info).get_username()) or "GraphQL"


def require(info: Any, permission: str) -> None:
    """Check `permission` (app.codename). Raises UnauthenticatedError or ForbiddenError if it is missing."""
    user = user_of(info)
    if not user.is_authenticated:
        raise UnauthenticatedError(f"not signed in: this needs a user with the permission {permission}")
    if not user.has_perm(permission):
        raise ForbiddenError(f"the permission {permission} is missing", permission=permission)


def may(info: Any, permission: str) -> bool:
    """Whether the user has `permission` (app.codename). An anonymous user has none."""
    return bool(user_of(info).has_perm(permission))


def own_candidate_id(info: Any) -> int | None:
    """Primary key of the candidate who is signed in; None for other users."""
    user = user_of(info)
    if not user.is_authenticated:
        return None
    candidate = getattr(user, "candidate", None)
    return candidate.pk if candidate else None


def require_for_candidate(info: Any, candidate_id: int, permission: str) -> None:
    """Check `permission` unless the candidate itself is signed in. Raises as `require` does."""
    if own_candidate_id(info) != candidate_id:
        require(info, permission)
