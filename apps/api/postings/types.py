from datetime import datetime
from typing import Any

import graphene
from graphene import relay
from graphene_django import DjangoObjectType

from apps.api.connections import CountedConnection
from apps.api.enums import EmploymentTypeEnum, EnglishLevelEnum, PostingStatusEnum, SalaryPeriodEnum
from apps.api.filters import filter_input
from apps.api.skills.types import SkillType, skill_entries
from apps.postings.filters import PostingFilterSet
from apps.postings.models import Company, Posting
from apps.skills.directory import SkillEntry


class CompanyNode(DjangoObjectType):
    class Meta:
        model = Company
        name = "Company"
        description = "Somebody who publishes postings"
        interfaces = (relay.Node,)
        fields = ()
        use_connection = False

    name = graphene.String(required=True, description="Name of the company")


class PostingNode(DjangoObjectType):
    class Meta:
        model = Posting
        name = "Posting"
        description = "A job posting"
        interfaces = (relay.Node,)
        fields = ()
        use_connection = False

    source = graphene.String(required=True, description="Source the posting came from")
    external_id = graphene.String(required=True, description="What the source calls it")
    title = graphene.String(required=True, description="Title of the job")
    company = graphene.Field(CompanyNode, description="Who publishes it")
    description = graphene.String(required=True, description="Text of the posting, in Markdown")
    language = graphene.String(required=True, description="Language of the text, such as en")
    city = graphene.String(required=True, description="City, empty where unknown")
    region = graphene.String(required=True, description="Region, empty where unknown")
    country = graphene.String(required=True, description="Country, empty where unknown")
    remote = graphene.Boolean(required=True, description="Whether the work can be done from anywhere")
    employment_type = graphene.Field(EmploymentTypeEnum, description="How somebody is employed")
    experience_years = graphene.Float(description="Years of experience asked for")
    english_level = graphene.Field(EnglishLevelEnum, description="Level of English asked for")
    salary_min = graphene.Float(description="Lower end of the salary, per salaryPeriod")
    salary_max = graphene.Float(description="Upper end of the salary, per salaryPeriod")
    salary_currency = graphene.String(required=True, description="ISO 4217 code, empty where unknown")
    salary_period = graphene.Field(
        SalaryPeriodEnum, required=True, description="The period the salary is for"
    )
    job_family = graphene.String(required=True, description="Job family, empty where unknown")
    skills = graphene.List(
        graphene.NonNull(SkillType), required=True, description="Skills asked for, by name"
    )
    published_at = graphene.DateTime(description="When it was published")
    closes_at = graphene.DateTime(description="Until when one can apply")
    status = graphene.Field(PostingStatusEnum, required=True, description="Whether it takes applications")
    is_open = graphene.Boolean(
        required=True, description="Takes applications, and its closing date is not past"
    )
    updated_at = graphene.DateTime(required=True, description="When it was last changed")

    @staticmethod
    def resolve_employment_type(root: Posting, _info: Any) -> str | None:
        return root.employment_type or None

    @staticmethod
    def resolve_skills(root: Any, info: Any) -> list[SkillEntry]:
        found = skill_entries(info, root.skill_ids)  # see `for_nodes`
        return sorted(found, key=lambda each: each.name.casefold())

    @staticmethod
    def resolve_updated_at(root: Posting, _info: Any) -> datetime:
        return root.updated_at


PostingFilterInput = filter_input(
    "PostingFilter",
    PostingFilterSet,
    enums={"english_level": EnglishLevelEnum, "employment_type": EmploymentTypeEnum},
    description="Narrows down postings. All conditions must hold.",
)


class PostingConnection(CountedConnection):
    class Meta:
        node = PostingNode
        strict_types = True
