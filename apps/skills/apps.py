"""Django's configuration of this app."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class SkillsConfig(AppConfig):
    """The app `skills`."""

    name = "apps.skills"
    label = "skills"

    def ready(self) -> None:
        post_migrate.connect(_load_shipped_dictionary, sender=self)


def _load_shipped_dictionary(**_: Any) -> None:
    """Load the shipped dictionary after every migrate, since a release may ship more skills."""
    from apps.skills.dictionary import SHIPPED, load_dictionary, read_dictionary

    load_dictionary(read_dictionary(SHIPPED))
