"""The directory of skills in both levels of the cache."""

from typing import Any

import pytest
from django.db import connection

from apps.caching.two_level import MAX_L2_BYTES, TwoLevelCache
from apps.skills.directory import SkillEntry, directory
from apps.skills.models import Skill, SkillAlias

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_cache")]


def test_directory_has_every_skill_with_category_and_aliases() -> None:
    expected = {
        each.pk: SkillEntry(
            each.pk, each.name, each.category.name, tuple(alias.name for alias in each.aliases.all())
        )
        for each in Skill.objects.select_related("category").prefetch_related("aliases")
    }
    assert SkillAlias.objects.exists() and any(not each.aliases for each in expected.values())
    assert directory() == expected


def test_large_directory_is_shared_between_processes(django_assert_num_queries: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO skills_skill (name, category_id, in_text)
            SELECT concat(md5(n::text), md5((n + 0.5)::text), md5((-n)::text)),
                   (SELECT min(id) FROM skills_skillcategory), false
            FROM generate_series(1, 15000) AS n
            """
        )
    computed = directory()
    assert sum(len(each.name) // 2 for each in computed.values()) > MAX_L2_BYTES  # bytes that no codec saves
    TwoLevelCache.clear_every_l1()
    with django_assert_num_queries(0):
        assert directory() == computed
