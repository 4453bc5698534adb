"""The dictionary that ships with jobrec, and its copy in the database, which people edit."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from django.db import connection, transaction
from django.db.models import Q, Value

from apps.caching.services import invalidate_on_commit
from apps.skills.finder import Term
from apps.skills.models import Skill, SkillAlias, SkillCategory

SHIPPED = Path(__file__).with_name("dictionary.toml")


@dataclass(frozen=True)
class DictionaryEntry:
    """One skill of a dictionary file."""

    category: str
    name: str
    aliases: tuple[str, ...]
    in_text: bool


class DictionaryError(ValueError):
    """A dictionary file is wrong; the message names the skill and the fault."""


def read_dictionary(path: Path) -> list[DictionaryEntry]:
    """Read a TOML file: tables are categories, keys are skills, values are lists of aliases.

    Raises DictionaryError if two skills share a name or alias, or a value has another shape.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DictionaryError(f"{path}: not a TOML file: {error}") from error
    entries = [
        _entry(category, name, value)
        for category, skills in content.items()
        for name, value in skills.items()
    ]
    seen: dict[str, str] = {}
    for entry in entries:
        for term in (entry.name, *entry.aliases):
            other = seen.setdefault(term.casefold(), entry.name)
            if other != entry.name or (term != entry.name and term.casefold() == entry.name.casefold()):
                raise DictionaryError(f"{path}: {term!r} of {entry.name!r} already means {other!r}")
    return entries


def _entry(category: str, name: str, value: object) -> DictionaryEntry:
    table = value if isinstance(value, dict) else {"aliases": value}
    aliases, in_text = table.get("aliases", []), table.get("in_text", True)
    if not isinstance(aliases, list) or not all(isinstance(alias, str) for alias in aliases):
        raise DictionaryError(f"{name!r}: aliases must be a list of strings, not {aliases!r}")
    return DictionaryEntry(category, name, tuple(aliases), bool(in_text))


@transaction.atomic
def load_dictionary(entries: list[DictionaryEntry]) -> tuple[int, int]:
    """Add the entries that the database lacks, matched by name in any case; return (skills, aliases) added.

    Idempotent. Edits made in the admin stay: a skill keeps its category and name, an alias its skill. An
    unlisted skill that the dictionary now has moves to its category.
    """
    categories = {name: SkillCategory.objects.get_or_create(name=name)[0] for name in _categories(entries)}
    known = {name.casefold(): pk for pk, name in Skill.objects.values_list("pk", "name")}
    new = [entry for entry in entries if entry.name.casefold() not in known]
    Skill.objects.bulk_create(
        Skill(name=entry.name, category=categories[entry.category], in_text=entry.in_text) for entry in new
    )
    by_name = {entry.name.casefold(): entry for entry in entries}
    for skill in Skill.objects.filter(category__name=Skill.UNLISTED):
        if entry := by_name.get(skill.name.casefold()):
            skill.category, skill.in_text = categories[entry.category], entry.in_text
            skill.candidates_only = False
            skill.save(update_fields=["category", "in_text", "candidates_only"])
    known = {name.casefold(): pk for pk, name in Skill.objects.values_list("pk", "name")}
    taken = {name.casefold() for name in SkillAlias.objects.values_list("name", flat=True)} | set(known)
    aliases = [
        SkillAlias(name=alias, skill_id=known[entry.name.casefold()])
        for entry in entries
        for alias in entry.aliases
        if alias.casefold() not in taken
    ]
    SkillAlias.objects.bulk_create(aliases)
    invalidate_on_commit(["skills"])
    return len(new), len(aliases)


def _categories(entries: list[DictionaryEntry]) -> list[str]:
    return sorted({entry.category for entry in entries})


def dictionary_terms() -> list[Term]:
    """Return every name and alias in the database, in a fixed order."""
    names = Skill.objects.order_by("pk").values_list("name", "pk", "in_text", "candidates_only")
    aliases = SkillAlias.objects.order_by("pk").values_list(
        "name", "skill_id", Value(True), "skill__candidates_only"
    )
    # A name that the dictionary itself keeps out of texts is ambiguous; an unlisted one is unchecked.
    listed = ~Q(category__name=Skill.UNLISTED)
    ambiguous = set(Skill.objects.filter(listed, in_text=False).values_list("pk", flat=True))
    return [
        *(Term(*row, ambiguous=row[1] in ambiguous) for row in names),
        *(Term(*row) for row in aliases),
    ]


def dictionary_version() -> str:
    """Return the version of the dictionary that this transaction sees (see migration 0001_initial)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(string_agg(id::text, ',' ORDER BY id), '') FROM skills_version")
        return str(cursor.fetchone()[0])
