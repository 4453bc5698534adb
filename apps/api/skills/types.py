"""GraphQL types of skills."""

from collections.abc import Iterable
from typing import Any

import graphene
from graphql_relay import to_global_id

from apps.api.fields import LongList
from apps.skills.directory import SkillEntry, directory

_DIRECTORY = "_jobrec_skills"  # attribute of the request


def skill_entries(info: Any, ids: Iterable[int]) -> list[SkillEntry]:
    """The skills with these ids, in their order, without deleted ones. A request reads the directory once."""
    known: dict[int, SkillEntry] | None = getattr(info.context, _DIRECTORY, None)
    if known is None:
        known = directory()
        setattr(info.context, _DIRECTORY, known)
    return [known[skill_id] for skill_id in ids if skill_id in known]


def skills_of_record(root: Any, info: Any) -> list[SkillEntry]:
    """Resolve the skills of a posting or candidate, by name. The row must come from `RecordApi.for_nodes`."""
    return sorted(skill_entries(info, root.skill_ids), key=lambda entry: entry.name.casefold())


class SkillType(graphene.ObjectType):
    """A skill of the dictionary."""

    class Meta:
        name = "Skill"

    id = graphene.ID(required=True, description="Global id")
    name = graphene.String(required=True, description="Name, as people write it")
    category = graphene.String(required=True, description="Name of the category it belongs to")
    aliases = graphene.List(
        graphene.NonNull(graphene.String), required=True, description="Other names of the skill, such as k8s"
    )

    @staticmethod
    def resolve_id(root: SkillEntry, _info: Any) -> str:
        return str(to_global_id("Skill", root.id))


class SkillCategoryType(graphene.ObjectType):
    """A group of skills."""

    class Meta:
        name = "SkillCategory"

    name = graphene.String(required=True, description="Name of the category")
    skills = LongList(SkillType, length=40, required=True, description="Skills of the category, by name")
