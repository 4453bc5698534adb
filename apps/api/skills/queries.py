from itertools import groupby
from typing import Any

import graphene

from apps.api.skills.types import SkillCategoryType
from apps.skills.directory import directory
from apps.skills.models import Skill


class SkillQueries(graphene.ObjectType):
    skill_categories = graphene.List(
        graphene.NonNull(SkillCategoryType),
        required=True,
        description="The dictionary of skills, by category; without what is in it only since a row named it so",
    )

    @staticmethod
    def resolve_skill_categories(_root: None, _info: Any) -> list[SkillCategoryType]:
        listed = [each for each in directory().values() if each.category != Skill.UNLISTED]
        skills = sorted(listed, key=lambda each: (each.category, each.name.casefold()))
        return [
            SkillCategoryType(name=category, skills=list(members))
            for category, members in groupby(skills, key=lambda each: each.category)
        ]
