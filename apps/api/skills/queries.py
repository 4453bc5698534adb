from itertools import groupby
from typing import Any

import graphene

from apps.api.skills.types import SkillCategoryType
from apps.skills.directory import directory


class SkillQueries(graphene.ObjectType):
    skill_categories = graphene.List(
        graphene.NonNull(SkillCategoryType),
        required=True,
        description="The dictionary of skills, by category",
    )

    @staticmethod
    def resolve_skill_categories(_root: None, _info: Any) -> list[SkillCategoryType]:
        skills = sorted(directory().values(), key=lambda each: (each.category, each.name.casefold()))
        return [
            SkillCategoryType(name=category, skills=list(members))
            for category, members in groupby(skills, key=lambda each: each.category)
        ]
