"""Import the skills of a taxonomy, such as ESCO or O*NET, into the dictionary."""

import csv
import gzip
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import orjson
from django.db import transaction

from apps.caching.services import invalidate_on_commit
from apps.skills.finder import folded_name
from apps.skills.models import Skill, SkillAlias, SkillCategory

MAX_NAME_LENGTH = 100  # characters of Skill.name and SkillAlias.name
CATEGORIES = {"ONET_TECH": "O*NET technology skills", "ONET_SKILL": "O*NET skills"}
DEFAULT_CATEGORY = "ESCO skills"
LOWER_CASE_WORD = re.compile(r"(?<![\w-])[^\W\d_]{2,}(?![\w-])")
# A line of a name that was broken in two: "assemble information on facilities", "and procedures".
FRAGMENT = re.compile(r"(?:and|or)\s", re.IGNORECASE)
BATCH = 2_000


class TaxonomyError(ValueError):
    """A file of skills cannot be read; the message names the place and the fault."""


@dataclass(frozen=True)
class TaxonomySkill:
    """One skill of a taxonomy file."""

    name: str
    aliases: tuple[str, ...]
    description: str
    category: str


@dataclass
class TaxonomyResult:
    """Counts of skills and aliases. `known` skills were there, by name or alias.

    `listed` of them were unlisted and have a category now. `ambiguous` of the new skills are ordinary words,
    which are not searched for in running text. `left_out` are aliases that are ordinary words, fragments or
    names of another skill, and names that are too long.
    """

    read: int = 0
    added: int = 0
    known: int = 0
    listed: int = 0
    ambiguous: int = 0
    aliases: int = 0
    left_out: int = 0


def read_taxonomy(path: Path) -> list[TaxonomySkill]:
    """Read JSON Lines (skill_name, aliases, description, taxonomy) or ESCO's CSV, also compressed by gzip.

    Raises TaxonomyError.
    """
    try:
        with _opened(path) as file:
            if ".csv" in path.suffixes:
                return list(_of_csv(file))
            return [_of_json(line, number) for number, line in enumerate(file, start=1) if line.strip()]
    except TaxonomyError as error:
        raise TaxonomyError(f"{path}: {error}") from error
    except OSError as error:
        raise TaxonomyError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (EOFError, UnicodeDecodeError, csv.Error) as error:
        raise TaxonomyError(f"{path}: cannot be read: {error}") from error


def _opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _of_json(line: str, number: int) -> TaxonomySkill:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise TaxonomyError(f"line {number}: not JSON: {error}") from error
    if not isinstance(row, dict) or not isinstance(row.get("skill_name"), str):
        raise TaxonomyError(f"line {number}: it has no skill_name")
    category = CATEGORIES.get(str(row.get("taxonomy")), DEFAULT_CATEGORY)
    return _skill(row["skill_name"], row.get("aliases"), row.get("description"), category)


def _of_csv(file: TextIO) -> Iterator[TaxonomySkill]:
    rows = csv.DictReader(file)
    if "preferredLabel" not in (rows.fieldnames or ()):
        raise TaxonomyError("it has no column preferredLabel")
    for row in rows:
        yield _skill(row["preferredLabel"], row.get("altLabels"), row.get("description"), DEFAULT_CATEGORY)


def _skill(name: str, aliases: Any, description: Any, category: str) -> TaxonomySkill:
    """Aliases are a list, one on each line, or separated by commas where there is one line."""
    if isinstance(aliases, str):
        aliases = aliases.splitlines() if "\n" in aliases else aliases.split(", ")
    stripped = (str(each).strip() for each in aliases or ())
    return TaxonomySkill(
        " ".join(name.split()), tuple(each for each in stripped if each), str(description or ""), category
    )


def ordinary_words(skills: Iterable[TaxonomySkill]) -> frozenset[str]:
    """The words that the descriptions of a taxonomy use in lower case.

    A name that is one of them (Scheme, Route, JET) usually means the word in a text. Names of products and
    languages stand in descriptions in capitals, so they are no ordinary words. No list of words of a
    language is needed.
    """
    return frozenset(
        word
        for skill in skills
        for word in LOWER_CASE_WORD.findall(skill.description)
        if word == word.lower()
    )


@transaction.atomic
def import_taxonomy(skills: list[TaxonomySkill], *, dry_run: bool = False) -> TaxonomyResult:
    """Add the skills and aliases that the dictionary lacks; return counts. Idempotent, all or nothing.

    Skills and aliases are recognised by folded name, so that "wound-care" is "Wound care". What people edited
    stays: a known skill keeps its name, category and whether it is searched in text, an alias its skill. An
    unlisted skill that the taxonomy has moves to its category. With `dry_run`, nothing is written.
    """
    importer = _Importer(ordinary_words(skills))
    named = [(importer.add(entry), entry.aliases) for entry in skills]
    for skill, aliases in named:  # after all names, of which none becomes the alias of an earlier skill
        if skill is not None:
            importer.add_aliases(skill, aliases)
    if not dry_run:
        importer.write()
    return importer.result


@dataclass
class _Importer:
    """What an import adds, and what every folded name means: a Skill, which may be one that it adds."""

    ordinary: frozenset[str]
    result: TaxonomyResult = field(default_factory=TaxonomyResult)
    skills: dict[str, Skill] = field(default_factory=dict)
    new: list[tuple[Skill, str]] = field(default_factory=list)
    listed: dict[int, tuple[Skill, str]] = field(default_factory=dict)
    aliases: list[tuple[Skill, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        known = {skill.pk: skill for skill in Skill.objects.select_related("category")}
        aliases = SkillAlias.objects.values_list("name", "skill_id")
        self.skills = {folded_name(name): known[skill_id] for name, skill_id in aliases}
        self.skills |= {folded_name(skill.name): skill for skill in known.values()}
        self.lowered = {name.lower() for name, _ in aliases} | {each.name.lower() for each in known.values()}

    def add(self, entry: TaxonomySkill) -> Skill | None:
        """Return the skill of an entry, new if the dictionary lacks it; None if its name is unusable."""
        self.result.read += 1
        folded = folded_name(entry.name)
        if not folded or len(entry.name) > MAX_NAME_LENGTH:
            self.result.left_out += 1
            return None
        skill = self.skills.get(folded)
        if skill is None:
            skill = self._add_new(entry, folded)
        else:
            self.result.known += 1
            if skill.pk and skill.category.name == Skill.UNLISTED and skill.pk not in self.listed:
                skill.in_text, skill.candidates_only = not self._is_ordinary(folded), False
                self.listed[skill.pk] = (skill, entry.category)
                self.result.listed += 1
        return skill

    def add_aliases(self, skill: Skill, aliases: Iterable[str]) -> None:
        """Add those aliases that the dictionary lacks and that mean only this skill."""
        for alias in aliases:
            self._add_alias(alias, skill)

    def _add_new(self, entry: TaxonomySkill, folded: str) -> Skill:
        skill = self.skills[folded] = Skill(name=entry.name, in_text=not self._is_ordinary(folded))
        self.lowered.add(entry.name.lower())
        self.new.append((skill, entry.category))
        self.result.added += 1
        self.result.ambiguous += not skill.in_text
        return skill

    def _add_alias(self, alias: str, skill: Skill) -> None:
        folded = folded_name(alias)
        if self.skills.get(folded) is skill:
            return
        if (
            not folded
            or folded in self.skills
            or alias.lower() in self.lowered
            or len(alias) > MAX_NAME_LENGTH
            or FRAGMENT.match(alias)
            or self._is_ordinary(folded)
        ):
            self.result.left_out += 1
            return
        self.skills[folded] = skill
        self.lowered.add(alias.lower())
        self.aliases.append((skill, alias))
        self.result.aliases += 1

    def _is_ordinary(self, folded: str) -> bool:
        """True for a single letter, and for one word that is an ordinary word."""
        word = folded.strip()
        return len(word) < 2 or word in self.ordinary

    def write(self) -> None:
        """Write what was added."""
        categories = self._categories()
        for skill, category in (*self.new, *self.listed.values()):
            skill.category = categories[category]
        Skill.objects.bulk_create([skill for skill, _ in self.new], batch_size=BATCH)
        listed = [skill for skill, _ in self.listed.values()]
        Skill.objects.bulk_update(listed, ["category", "in_text", "candidates_only"], batch_size=BATCH)
        SkillAlias.objects.bulk_create(
            [SkillAlias(name=name, skill=skill) for skill, name in self.aliases], batch_size=BATCH
        )
        if self.new or listed or self.aliases:
            invalidate_on_commit(["skills"])

    def _categories(self) -> Mapping[str, SkillCategory]:
        names = {category for _, category in (*self.new, *self.listed.values())}
        return {name: SkillCategory.objects.get_or_create(name=name)[0] for name in sorted(names)}
