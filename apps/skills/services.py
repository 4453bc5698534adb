"""Resolve skills: from the names that a source states, and from texts."""

import re
import threading
from collections.abc import Iterable, Sequence

from django.db.models import Exists

from apps.caching.services import invalidate_on_commit
from apps.skills.dictionary import dictionary_terms, dictionary_version
from apps.skills.finder import SkillFinder, folded_name
from apps.skills.models import Skill, SkillCategory

_lock = threading.Lock()
_current: tuple[str, SkillFinder] | None = None

MAX_NAME_LENGTH = 100  # characters of Skill.name
AND = re.compile(r"\s+(?:&|and|or|und|oder|et|y)\s+")


def current_finder() -> SkillFinder:
    """Return the finder of the dictionary in the database, rebuilt only after a change."""
    global _current  # noqa: PLW0603  one automaton per process, swapped as a whole
    # Read the version before the terms: a change in between has another version, so the finder is rebuilt.
    version = dictionary_version()
    with _lock:
        if _current is None or _current[0] != version:
            terms = dictionary_terms()
            _current = (version, _current[1].rebuilt(terms) if _current else SkillFinder(terms))
        return _current[1]


def find_skills(texts: Iterable[str], *, finder: SkillFinder | None = None) -> list[list[int]]:
    """Find the skills that each text names: one list of ids per text, in the order of `texts`.

    `finder` defaults to the current one. An import passes one finder for all texts, and needs no database.
    """
    finder = finder or current_finder()
    return [finder.find(text) for text in texts]


def add_unlisted(names: Iterable[str]) -> None:
    """Create the skills that a source states and the dictionary lacks. They are not searched for in texts.

    They are private to readers who may see candidates until a posting has them (see migration 0002).

    Names that differ in case, hyphens or spacing are one skill; names without a letter or digit, such as
    "---", are ignored. Safe to run twice at once.
    """
    wanted = {folded: name.strip() for name in names if (folded := folded_name(name))}
    if not wanted:
        return
    category, _ = SkillCategory.objects.get_or_create(name=Skill.UNLISTED)
    Skill.objects.bulk_create(
        [
            Skill(name=name, category=category, in_text=False, candidates_only=True)
            for name in sorted(wanted.values())
        ],
        ignore_conflicts=True,
    )
    invalidate_on_commit(["skills"])


def spell_publicly(names: Iterable[str], *, finder: SkillFinder | None = None) -> None:
    """Give skills that only candidates have named the spelling of a posting, which is about to have them.

    Otherwise a candidate would fix how a public row reads. Belongs in the posting's transaction.
    `finder` defaults to the current one. Idempotent.
    """
    finder = finder or current_finder()
    if not finder.private:
        return
    renamed = False
    for name in dict.fromkeys(names):
        skill_id = finder.resolve(name)
        if skill_id in finder.private:
            # Another skill may already be called so where two names fold to the same one.
            namesakes = Skill.objects.filter(name__iexact=name.strip()).exclude(pk=skill_id)
            private = Skill.objects.filter(pk=skill_id, candidates_only=True).exclude(Exists(namesakes))
            renamed |= bool(private.update(name=name.strip(), candidates_only=False))
    if renamed:
        invalidate_on_commit(["skills", "candidates"])


def resolve_stated(names: Sequence[str], *, finder: SkillFinder) -> tuple[list[int], list[str]]:
    """Return (the ids of the skills that `names` mean, each once; the names that the dictionary lacks).

    A name that the dictionary lacks may be several that it has, such as "SQL and Excel". "AI/ML" stays whole.
    """
    ids: dict[int, None] = {}
    unknown: list[str] = []
    for name in names:
        skill_id = finder.resolve(name)
        if skill_id is not None:
            ids[skill_id] = None
        elif several := _several(name, finder):
            ids |= dict.fromkeys(several)
        elif folded_name(name):
            unknown.append(name)
    return list(ids), unknown


def _several(name: str, finder: SkillFinder) -> list[int]:
    """The skills of a list such as "SQL and Excel"; [] where the dictionary lacks one of them."""
    parts = AND.split(name.strip())
    ids = [skill_id for part in parts if (skill_id := finder.resolve(part)) is not None]
    return ids if 1 < len(parts) == len(ids) else []
