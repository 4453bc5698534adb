"""Queries that read the dictionary of skills."""

from itertools import groupby
from typing import Any

import graphene

from apps.api.fields import RootField
from apps.api.skills.types import SkillCategoryType
from apps.skills.directory import directory
from apps.skills.models import Skill


class SkillQueries(graphene.ObjectType):
    """The queries of this module, as a part of the schema's Query."""

    skill_categories = RootField(
        graphene.List(graphene.NonNull(SkillCategoryType)),
        cost=0,
        length=15,
        reads=("skills",),
        required=True,
        description="The dictionary of skills, by category, without the unlisted skills that rows add",
    )

    @staticmethod
    def resolve_skill_categories(_root: None, _info: Any) -> list[SkillCategoryType]:
        listed = [skill for skill in directory().values() if skill.category != Skill.UNLISTED]
        skills = sorted(listed, key=lambda skill: (skill.category, skill.name.casefold()))
        return [
            SkillCategoryType(name=category, skills=list(members))
            for category, members in groupby(skills, key=lambda skill: skill.category)
        ]
