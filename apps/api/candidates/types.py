from typing import Any

import graphene
from graphene import relay
from graphene_django import DjangoObjectType

from apps.api.connections import CountedConnection
from apps.api.enums import EnglishLevelEnum, SalaryPeriodEnum
from apps.api.filters import filter_input
from apps.api.skills.types import SkillType, skill_entries
from apps.candidates.filters import CandidateFilterSet
from apps.candidates.models import Candidate
from apps.skills.directory import SkillEntry


class CandidateNode(DjangoObjectType):
    class Meta:
        model = Candidate
        name = "Candidate"
        description = "Somebody who looks for work. For recruiters, and for the candidate itself."
        interfaces = (relay.Node,)
        fields = ()
        use_connection = False

    source = graphene.String(required=True, description="Source the candidate came from")
    external_id = graphene.String(required=True, description="What the source calls it")
    headline = graphene.String(required=True, description="A line about the candidate")
    resume = graphene.String(required=True, description="Résumé, in Markdown")
    looking_for = graphene.String(required=True, description="What the candidate looks for")
    language = graphene.String(required=True, description="Language of the texts, such as en")
    city = graphene.String(required=True, description="City, empty where unknown")
    region = graphene.String(required=True, description="Region, empty where unknown")
    country = graphene.String(required=True, description="Country, empty where unknown")
    remote = graphene.Boolean(required=True, description="Whether remote work is wanted")
    experience_years = graphene.Float(description="Years of experience")
    english_level = graphene.Field(EnglishLevelEnum, description="Level of English")
    salary_min = graphene.Float(description="Salary expected, per salaryPeriod")
    salary_currency = graphene.String(required=True, description="ISO 4217 code, empty where unknown")
    salary_period = graphene.Field(
        SalaryPeriodEnum, required=True, description="The period the salary is for"
    )
    skills = graphene.List(
        graphene.NonNull(SkillType), required=True, description="The candidate's skills, by name"
    )
    updated_at = graphene.DateTime(required=True, description="When it was last changed")

    @staticmethod
    def resolve_skills(root: Any, info: Any) -> list[SkillEntry]:
        found = skill_entries(info, root.skill_ids)  # see `for_nodes`
        return sorted(found, key=lambda each: each.name.casefold())


CandidateFilterInput = filter_input(
    "CandidateFilter",
    CandidateFilterSet,
    enums={"english_level": EnglishLevelEnum},
    description="Narrows down candidates. All conditions must hold.",
)


class CandidateConnection(CountedConnection):
    class Meta:
        node = CandidateNode
        strict_types = True
