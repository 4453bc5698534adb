"""Deletion of unlisted skills that no row has any more."""

import logging

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from apps.caching.services import invalidate_on_commit
from apps.skills.models import Skill

logger = logging.getLogger(__name__)

DELETE_BATCH_SIZE = 1_000  # skills in one transaction


def delete_unused_skills() -> int:
    """Delete unlisted skills that no row has; hide those that only candidates still have.

    Skills that somebody has made a part of the dictionary stay: those with aliases, and those that are
    searched for in texts. Returns how many were deleted. In small transactions; idempotent.
    """
    deleted = 0
    while keys := list(_unused().order_by("pk").values_list("pk", flat=True)[:DELETE_BATCH_SIZE]):
        with transaction.atomic():
            # A row may just have got one of them: the lock and the second query spare it.
            list(Skill.objects.filter(pk__in=keys).order_by("pk").select_for_update().values_list("pk"))
            count, _ = _unused().filter(pk__in=keys).delete()
            deleted += count
    hidden = _unlisted().filter(~_used_by("postings"), candidates_only=False).update(candidates_only=True)
    if deleted or hidden:
        invalidate_on_commit(["skills"])
    logger.info("Deleted %d unused skills, hid %d that only candidates have", deleted, hidden)
    return deleted


def _unlisted() -> QuerySet[Skill]:
    return Skill.objects.filter(category__name=Skill.UNLISTED, in_text=False, aliases=None)


def _unused() -> QuerySet[Skill]:
    return _unlisted().filter(~_used_by("postings"), ~_used_by("candidates"))


def _used_by(kind: str) -> Exists:
    return Exists(getattr(Skill, kind).through.objects.filter(skill=OuterRef("pk")))
