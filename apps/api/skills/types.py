from collections.abc import Iterable
from typing import Any

import graphene
from graphql_relay import to_global_id

from apps.skills.directory import SkillEntry, directory

_DIRECTORY = "_jobrec_skills"


def skill_entries(info: Any, ids: Iterable[int]) -> list[SkillEntry]:
    """Entries in the order of `ids`, without skills that are gone. A request asks once for the directory."""
    known: dict[int, SkillEntry] | None = getattr(info.context, _DIRECTORY, None)
    if known is None:
        known = directory()
        setattr(info.context, _DIRECTORY, known)
    return [known[each] for each in ids if each in known]


class SkillType(graphene.ObjectType):
    """A skill of the dictionary."""

    class Meta:
        name = "Skill"

    id = graphene.ID(required=True, description="Global id")
    name = graphene.String(required=True, description="The form shown to people")
    category = graphene.String(required=True, description="Name of the category it belongs to")
    aliases = graphene.List(
        graphene.NonNull(graphene.String), required=True, description="Other ways to write it, such as k8s"
    )

    @staticmethod
    def resolve_id(root: SkillEntry, _info: Any) -> str:
        return str(to_global_id("Skill", root.id))


class SkillCategoryType(graphene.ObjectType):
    """A group of skills."""

    class Meta:
        name = "SkillCategory"

    name = graphene.String(required=True, description="Name of the category")
    skills = graphene.List(graphene.NonNull(SkillType), required=True, description="Its skills, by name")
