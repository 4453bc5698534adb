"""All skills by id, from the cache: names for explanations and pages without a join."""

from dataclasses import dataclass
from typing import Any

from apps.caching import tags
from apps.caching.two_level import cache
from apps.skills.models import Skill


@dataclass(frozen=True)
class SkillEntry:
    id: int
    name: str
    category: str
    aliases: tuple[str, ...]


_built: tuple[object, dict[int, SkillEntry]] = (None, {})


def directory() -> dict[int, SkillEntry]:
    """Every skill by primary key. Fresh once the namespace `skills` was invalidated."""
    global _built  # noqa: PLW0603  the dict for the cached rows, built again only when those change
    rows = cache.get_or_compute("skill_directory", {}, tags=tags.of_list("skills"), compute=_rows)
    source, entries = _built
    if source is not rows:
        entries = {row[0]: SkillEntry(row[0], row[1], row[2], tuple(row[3])) for row in rows}
        _built = (rows, entries)
    return entries


def entries_of(ids: list[int]) -> list[SkillEntry]:
    """Entries in the order of `ids`; a skill that is gone is left out."""
    known = directory()
    return [known[each] for each in ids if each in known]


def _rows() -> list[list[Any]]:
    skills = Skill.objects.select_related("category").prefetch_related("aliases")
    return [
        [each.pk, each.name, each.category.name, [alias.name for alias in each.aliases.all()]]
        for each in skills
    ]
