"""All skills by id, from the cache: names for explanations and pages without a join."""

import zlib
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import connection

from apps.caching import tags
from apps.caching.two_level import Codec, Computed, TwoLevelCache


@dataclass(frozen=True)
class SkillEntry:
    id: int
    name: str
    category: str
    aliases: tuple[str, ...]


# One entry, which every page reads: it may be larger in L2 than others, and an older one is of no use in L1.
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
    """Every skill by primary key. Fresh once the namespace `skills` was invalidated."""
    global _built  # noqa: PLW0603  the dict for the cached rows, built again only when those change
    rows = _cache.get_or_compute(
        "skill_directory", {}, tags=tags.of_list("skills"), compute=lambda: Computed(_rows())
    )
    source, entries = _built
    if source is not rows:
        entries = {row[0]: SkillEntry(row[0], row[1], row[2], tuple(row[3])) for row in rows}
        _built = (rows, entries)
    return entries


def entries_of(ids: list[int]) -> list[SkillEntry]:
    """Entries in the order of `ids`; a skill that is gone is left out."""
    known = directory()
    return [known[each] for each in ids if each in known]


def _rows() -> list[tuple[Any, ...]]:
    # In SQL: a model and a manager for each skill took seconds of a web process where there are many.
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT skill.id, skill.name, category.name, coalesce(also.names, '{}')
            FROM skills_skill AS skill
            JOIN skills_skillcategory AS category ON category.id = skill.category_id
            LEFT JOIN (SELECT skill_id, array_agg(name ORDER BY name) AS names
                       FROM skills_skillalias GROUP BY skill_id) AS also ON also.skill_id = skill.id
            ORDER BY skill.name
            """
        )
        return list(cursor.fetchall())
