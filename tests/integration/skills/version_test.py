"""The version of the dictionary, by which finders are rebuilt."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from apps.skills.dictionary import dictionary_version
from apps.skills.models import Skill, SkillCategory
from apps.skills.services import add_unlisted, current_finder


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("UPDATE skills_skill SET name = 'Serpent' WHERE name = 'Python'", "serpent"),
        ("UPDATE skills_skillalias SET name = 'kube 8' WHERE name = 'k8s'", "k8s"),
        ("DELETE FROM skills_skillalias WHERE name = 'k8s'", "k8s"),
        ("TRUNCATE skills_skillalias", "k8s"),
        (
            (
                "INSERT INTO skills_skillalias (name, skill_id) "
                "SELECT 'the serpent', id FROM skills_skill WHERE name = 'Python'"
            ),
            "the serpent",
        ),
    ],
)
def test_finder_follows_a_change_in_plain_sql_and_its_rollback(statement: str, name: str) -> None:
    before, meant = dictionary_version(), current_finder().resolve(name)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(statement)
        assert dictionary_version() != before
        assert current_finder().resolve(name) != meant
        transaction.set_rollback(True)
    assert dictionary_version() == before
    assert current_finder().resolve(name) == meant


@pytest.mark.django_db(transaction=True)
def test_transactions_adding_skills_do_not_wait_and_see_no_uncommitted_skills() -> None:
    SkillCategory.objects.get_or_create(
        name=Skill.UNLISTED
    )  # created before, because both would wait for this one row
    before = dictionary_version()

    def add_in_another_transaction() -> tuple[str, str, bool]:
        try:
            untouched = dictionary_version()
            add_unlisted(["Theirs"])
            return untouched, dictionary_version(), current_finder().resolve("Mine") is None
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        add_unlisted(["Mine"])
        mine = dictionary_version()
        untouched, theirs, is_hidden = pool.submit(add_in_another_transaction).result(timeout=20)
        both = dictionary_version()
        assert current_finder().resolve("Mine") and current_finder().resolve("Theirs")
    assert untouched == before
    assert is_hidden
    assert len({before, mine, theirs, both}) == 4
    assert dictionary_version() == both


@pytest.mark.django_db
def test_version_stays_one_id_after_many_changes() -> None:
    for number in range(5):
        add_unlisted([f"Skill number {number}"])
    assert "," not in dictionary_version()
