"""Skills that a source states and the dictionary lacks."""

import pytest

from apps.postings.inputs import PostingInput
from apps.postings.models import Posting
from apps.postings.services import upsert_postings
from apps.skills.dictionary import dictionary_version
from apps.skills.models import Skill, SkillCategory
from apps.skills.services import current_finder, resolve_stated

pytestmark = pytest.mark.django_db

COMPOSED, DECOMPOSED = "Pr\u00e9paration", "Pre\u0301paration"


def posting(*skills: str, external_id: str = "p1") -> PostingInput:
    """A posting that states these skills."""
    return PostingInput(external_id=external_id, title="Keeper", description="Of tables", skills=list(skills))


def names() -> list[str]:
    """The names of the skills of the only posting."""
    return list(
        Posting.objects.get().skill_uses.order_by("skill__name").values_list("skill__name", flat=True)
    )


def test_stated_names_without_letters_are_ignored_and_spellings_of_one_name_are_one_skill() -> None:
    upsert_postings([posting("---", "+++", DECOMPOSED, COMPOSED, "pan-sweeping", "Pan  sweeping")])
    assert len(names()) == 2
    assert COMPOSED in names()
    assert current_finder().resolve("") is None


def test_stated_name_means_the_skill_stored_in_another_unicode_form() -> None:
    category, _ = SkillCategory.objects.get_or_create(name=Skill.UNLISTED)
    Skill.objects.create(name=DECOMPOSED, category=category, in_text=False)
    upsert_postings([posting(COMPOSED)])
    assert names() == [DECOMPOSED]


def test_later_batch_of_an_import_adds_no_skill_twice(django_capture_on_commit_callbacks) -> None:
    of_the_import = current_finder()
    upsert_postings([posting("Obscure Tool 9000")], finder=of_the_import)
    version = dictionary_version()
    with django_capture_on_commit_callbacks() as callbacks:
        upsert_postings([posting("obscure tool 9000")], finder=of_the_import)
    assert names() == ["Obscure Tool 9000"]
    assert dictionary_version() == version
    assert not callbacks  # nothing is invalidated


def test_external_id_is_stored_as_the_source_writes_it() -> None:
    assert upsert_postings([posting(external_id=DECOMPOSED)]).inserted
    assert Posting.objects.get().external_id == DECOMPOSED


def test_stated_list_of_known_skills_is_those_skills_and_others_stay_whole() -> None:
    finder = current_finder()

    def resolved(name: str) -> set[str] | list[str]:
        ids, unknown = resolve_stated([name], finder=finder)
        return unknown or set(Skill.objects.filter(pk__in=ids).values_list("name", flat=True))

    assert resolved("SQL and Python") == resolved("Python & SQL") == {"Python", "SQL"}
    assert resolved("AI/ML") == ["AI/ML"]
    assert resolved("Python and the sea") == ["Python and the sea"]
    assert len(resolved("CI/CD")) == 1
