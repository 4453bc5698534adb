from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class SkillsConfig(AppConfig):
    name = "apps.skills"
    label = "skills"

    def ready(self) -> None:
        post_migrate.connect(_load_shipped_dictionary, sender=self)


def _load_shipped_dictionary(**_: Any) -> None:
    """After every migrate, not in one migration: a release may ship more skills."""
    from apps.skills.dictionary import SHIPPED, load_dictionary, read_dictionary

    load_dictionary(read_dictionary(SHIPPED))
