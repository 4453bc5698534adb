"""Triggers and generated columns: skills_text and content_hash follow every change, also in plain SQL."""

import hashlib

import pytest
from django.db import connection

from apps.postings.models import Posting, PostingSkill
from apps.postings.services import after_edit
from apps.skills.dictionary import SHIPPED, load_dictionary, read_dictionary
from apps.skills.models import Skill

pytestmark = pytest.mark.django_db


@pytest.fixture
def posting() -> Posting:
    """A posting with the skills Python and Docker."""
    posting = Posting.objects.create(external_id="p1", title="Keeper", description="Kitchen")
    for name in ("Python", "Docker"):
        PostingSkill.objects.create(posting=posting, skill=Skill.objects.get(name=name))
    posting.refresh_from_db()
    return posting


def sql(statement: str, *parameters: object) -> None:
    """Executes plain SQL."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)  # type: ignore[arg-type]


def test_skills_text_and_hash_follow_every_change(posting: Posting) -> None:
    assert posting.skills_text == "Docker, Python"
    assert bytes(posting.content_hash) == hashlib.sha256(b"Keeper\x1fDocker, Python\x1fKitchen").digest()
    hashes = {bytes(posting.content_hash)}
    for statement, expected in (
        (
            (
                "DELETE FROM postings_postingskill AS used USING skills_skill AS skill "
                "WHERE skill.id = used.skill_id AND skill.name = 'Docker'"
            ),
            "Python",
        ),
        ("UPDATE skills_skill SET name = 'Python 4' WHERE name = 'Python'", "Python 4"),
        ("UPDATE postings_posting SET description = 'Other'", "Python 4"),
        (
            (
                "UPDATE postings_postingskill SET skill_id = skill.id FROM skills_skill AS skill "
                "WHERE skill.name = 'Welding'"
            ),
            "Welding",
        ),
    ):
        sql(statement)
        posting.refresh_from_db()
        assert posting.skills_text == expected
        assert bytes(posting.content_hash) not in hashes
        hashes.add(bytes(posting.content_hash))


def test_content_hash_ignores_columns_that_are_not_embedded(posting: Posting) -> None:
    before = bytes(posting.content_hash)
    sql("UPDATE postings_posting SET status = 'closed', city = 'Oslo', salary_max = 5, closes_at = now()")
    posting.refresh_from_db()
    assert bytes(posting.content_hash) == before


def test_deleting_a_posting_in_plain_sql_deletes_its_skills(posting: Posting) -> None:
    sql("DELETE FROM postings_posting")
    assert not PostingSkill.objects.exists()


def test_edit_by_hand_finds_new_skills_and_keeps_the_stated_ones(posting: Posting) -> None:
    posting.description = "We use Kubernetes and Docker."
    posting.save()
    after_edit(posting)
    assert posting.skills_text == "Docker, Kubernetes, Python"
    posting.description = "Nothing of it."
    posting.save()
    after_edit(posting)
    assert posting.skills_text == "Docker, Python"


def test_loading_the_dictionary_again_adds_nothing_and_undoes_no_edit() -> None:
    edited = Skill.objects.get(name="Kubernetes")
    edited.aliases.filter(name="k8s").update(name="kube")
    Skill.objects.filter(name="Docker").update(in_text=False)
    assert load_dictionary(read_dictionary(SHIPPED)) == (0, 1)  # the alias that is missing now comes back
    assert edited.aliases.filter(name="kube").exists()
    assert not Skill.objects.get(name="Docker").in_text
