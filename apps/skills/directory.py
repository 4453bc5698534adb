"""A cached directory of all skills by id, so that explanations and pages show names without a join."""

import zlib
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import connection

from apps.caching import tags
from apps.caching.two_level import Codec, Computed, TwoLevelCache


@dataclass(frozen=True)
class SkillEntry:
    """A skill as readers see it."""

    id: int
    name: str
    category: str
    aliases: tuple[str, ...]
    candidates_only: bool = False


# Every page reads this one entry: L2 accepts it although it is large, and L1 keeps no older version of it.
_cache = TwoLevelCache(
    codec=Codec(
        encode=lambda rows: zlib.compress(orjson.dumps(rows), level=1),
        decode=lambda stored: orjson.loads(zlib.decompress(stored)),
        weight=lambda _: 1,
        max_bytes=4 * 1024 * 1024,
    ),
    capacity=1,
)
_built: tuple[object, dict[int, SkillEntry]] = (None, {})


def directory() -> dict[int, SkillEntry]:
    """Return every skill by primary key, fresh after an invalidation of the namespace `skills`."""
    global _built  # noqa: PLW0603  the dict of the cached rows, rebuilt only when they change
    rows = _cache.get_or_compute(
        "skill_directory", {}, tags=tags.of_list("skills"), compute=lambda: Computed(_rows())
    )
    source, entries = _built
    if source is not rows:
        entries = {row[0]: SkillEntry(row[0], row[1], row[2], tuple(row[3]), row[4]) for row in rows}
        _built = (rows, entries)
    return entries


def entries_of(ids: list[int]) -> list[SkillEntry]:
    """Return entries in the order of `ids`, without deleted skills."""
    known = directory()
    return [known[each] for each in ids if each in known]


def public_skills() -> frozenset[int]:
    """Return the ids of the skills that everybody may see: all but those that only candidates name."""
    return frozenset(key for key, entry in directory().items() if not entry.candidates_only)


def _rows() -> list[tuple[Any, ...]]:
    # Plain SQL: building a model instance per skill takes seconds where there are many.
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT skill.id, skill.name, category.name, coalesce(also.names, '{}'), skill.candidates_only
            FROM skills_skill AS skill
            JOIN skills_skillcategory AS category ON category.id = skill.category_id
            LEFT JOIN (SELECT skill_id, array_agg(name ORDER BY name) AS names
                       FROM skills_skillalias GROUP BY skill_id) AS also ON also.skill_id = skill.id
            ORDER BY skill.name
            """
        )
        return list(cursor.fetchall())
