"""Groups of postings that are copies of each other, so that a list shows one of each.

Copies have the same title and company, or the same text, or very near vectors and one company. A posting is
compared through indexed keys, never with all others: with the first posting that has its key, whose group the
others of that key share already. What a person settled in the admin, the rules leave alone.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet
from psycopg.sql import Literal

from apps.caching.services import invalidate_on_commit
from apps.embeddings.kinds import tables
from apps.embeddings.models import EmbeddingModel, Kind
from apps.postings.models import Posting
from apps.recommendations.models import PostingCopy, PostingGroup
from apps.sql import load

MIN_TEXT_CHARACTERS = 200  # of a description; a shorter one may be equal by chance
MIN_COSINE = 0.98  # of two postings of one company that are copies
NEAR_BATCH = 200  # postings that are compared in one transaction


@transaction.atomic
def group_copies(posting_ids: Sequence[int]) -> int:
    """Find the copies of new or changed postings; return how many postings changed their group. Idempotent.

    Caches are left to the caller.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            load(__file__, "write_copy_keys"),
            {"ids": list(posting_ids), "min_characters": MIN_TEXT_CHARACTERS},
        )
        changed = [row[0] for row in cursor.fetchall()]
        cursor.execute(load(__file__, "equal_postings"), {"ids": changed})
        pairs = cursor.fetchall()
    leaving = PostingCopy.objects.filter(posting_id__in=changed, group__isnull=False, is_settled=False)
    return _leave(leaving, is_near=False) + _join(pairs)


def group_near_copies(model: EmbeddingModel, *, limit: int) -> int:
    """Compare up to `limit` newly embedded postings with those nearest to them; return their number.

    A posting joins the group of one of the same company whose vector is very near. Safe to run twice at once.
    Answers that show postings are invalidated where a group changed. Must not run in a transaction.
    """
    parts = {
        **tables(Kind.POSTING).sql,
        "dimensions": Literal(model.dimensions),
        "model": Literal(model.pk),
    }
    compared = 0
    while compared < limit:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(load(__file__, "pending_comparisons").format(**parts), {"limit": NEAR_BATCH})
            ids = [row[0] for row in cursor.fetchall()]
            if not ids:
                break
            cursor.execute(
                load(__file__, "near_postings").format(**parts), {"ids": ids, "max_distance": 1 - MIN_COSINE}
            )
            pairs = cursor.fetchall()
            PostingCopy.objects.filter(posting_id__in=[one for one, _ in pairs], group=None).update(
                is_near=True
            )
            if _join(pairs):
                invalidate_on_commit(["postings"], sorted({each for pair in pairs for each in pair}))
        compared += len(ids)
    return compared


def _leave(members: QuerySet[PostingCopy], **values: bool) -> int:
    """Take members out of their groups; a group that has nobody left goes."""
    groups = set(members.order_by().values_list("group_id", flat=True))
    count = members.update(group=None, **values)
    PostingGroup.objects.filter(pk__in=groups, members__isnull=True).delete()
    return count


def _join(pairs: Iterable[tuple[int, int]]) -> int:
    """Put each pair of postings into one group; return how many postings changed theirs."""
    sets = _connected(pairs)
    known = dict(
        PostingCopy.objects.filter(posting_id__in=[each for one in sets for each in one])
        .order_by("posting_id")
        .select_for_update(no_key=True)
        .values_list("posting_id", "group_id")
    )
    changed = 0
    for members in sets:
        groups = sorted({group for each in members if (group := known.get(each)) is not None})
        target = groups[0] if groups else PostingGroup.objects.create().pk
        moving = [each for each in members if known.get(each) != target]
        changed += PostingCopy.objects.filter(posting_id__in=moving).update(group_id=target)
        if len(groups) > 1:
            changed += PostingCopy.objects.filter(group_id__in=groups[1:]).update(group_id=target)
            PostingGroup.objects.filter(pk__in=groups[1:]).delete()
    return changed


def _connected(pairs: Iterable[tuple[int, int]]) -> list[set[int]]:
    """The connected components of a graph that is given by its edges."""
    of: dict[int, set[int]] = {}
    for one, other in pairs:
        first, second = of.setdefault(one, {one}), of.setdefault(other, {other})
        if first is not second:
            small, large = sorted((first, second), key=len)
            large |= small
            for each in small:
                of[each] = large
    return list({id(each): each for each in of.values()}.values())


def groups_of(posting_ids: Collection[int]) -> dict[int, int]:
    """Return the group of each of the postings that has copies."""
    rows = PostingCopy.objects.filter(posting_id__in=posting_ids, group__isnull=False)
    return dict(rows.values_list("posting_id", "group_id"))


def in_groups(groups: Collection[int]) -> QuerySet[PostingCopy, Any]:
    """Return the keys of all postings of these groups, for a subquery."""
    return PostingCopy.objects.filter(group_id__in=groups).values_list("posting_id", flat=True)


def with_copies(posting_ids: QuerySet[Any, int] | Sequence[int]) -> QuerySet[PostingCopy, Any]:
    """Return the keys of the copies of some postings, for a subquery; of one without copies, nothing."""
    groups = PostingCopy.objects.filter(posting_id__in=posting_ids, group__isnull=False).values("group_id")
    return PostingCopy.objects.filter(group_id__in=groups).values_list("posting_id", flat=True)


def alternatives(posting_ids: Collection[int], matching: QuerySet[Posting]) -> dict[int, list[int]]:
    """Return for each posting the keys of its copies among `matching`, the newest first."""
    own = groups_of(posting_ids)
    members: dict[int, list[int]] = {}
    rows = matching.filter(copy__group_id__in=set(own.values())).order_by("-published_at", "-pk")
    for pk, group in rows.values_list("pk", "copy__group_id"):
        members.setdefault(group, []).append(pk)
    return {pk: [each for each in members.get(group, []) if each != pk] for pk, group in own.items()}


@transaction.atomic
def split(posting_ids: Collection[int]) -> int:
    """Take postings out of their groups by hand, for good; return how many were in one."""
    members = PostingCopy.objects.filter(posting_id__in=posting_ids, group__isnull=False)
    count = _leave(members, is_settled=True)
    if count:
        invalidate_on_commit(["postings"], list(posting_ids))
    return count


@transaction.atomic
def merge(groups: Collection[int]) -> int:
    """Make one group of several by hand; return its key. Raises ValueError where none is given."""
    if not groups:
        raise ValueError("at least one group is needed")
    target, *others = sorted(groups)
    PostingCopy.objects.filter(group_id__in=groups).update(group_id=target, is_settled=True)
    PostingGroup.objects.filter(pk__in=others).delete()
    invalidate_on_commit(["postings"], list(in_groups([target])))
    return target
