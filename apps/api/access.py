"""Who may do what. Roles are Django's permissions: groups carry them, the admin hands them out."""

from typing import Any

from apps.api.errors import ForbiddenError, UnauthenticatedError

User = Any  # django.contrib.auth's swappable user


def user_of(info: Any) -> User:
    return info.context.user


def require(info: Any, permission: str) -> None:
    """Raises UnauthenticatedError or ForbiddenError unless the user has `permission` (app.codename)."""
    user = user_of(info)
    if not user.is_authenticated:
        raise UnauthenticatedError("sign in first: this needs a user with a role")
    if not user.has_perm(permission):
        raise ForbiddenError(f"this needs the permission {permission}", permission=permission)


def may(info: Any, permission: str) -> bool:
    """Whether the user has `permission`; nobody in particular has none."""
    return bool(user_of(info).has_perm(permission))


def own_candidate_id(info: Any) -> int | None:
    """The candidate that the signed-in user is."""
    user = user_of(info)
    if not user.is_authenticated:
        return None
    candidate = getattr(user, "candidate", None)
    return candidate.pk if candidate else None


def require_for_candidate(info: Any, candidate_id: int, permission: str) -> None:
    """A candidate may do this with its own row; for others it takes `permission`."""
    if own_candidate_id(info) != candidate_id:
        require(info, permission)
