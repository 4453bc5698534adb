"""GraphQL types of postings and companies."""

from typing import Any

import graphene
from graphene import relay
from graphene_django import DjangoObjectType

from apps.api.connections import CountedConnection
from apps.api.enums import EmploymentTypeEnum, EnglishLevelEnum, PostingStatusEnum, SalaryPeriodEnum
from apps.api.filters import filter_input
from apps.api.places import places_field, places_of_record
from apps.api.skills.types import SkillType, skills_of_record
from apps.postings.filters import PostingFilterSet
from apps.postings.models import Company, Posting


class CompanyNode(DjangoObjectType):
    """The type Company."""

    class Meta:
        model = Company
        name = "Company"
        description = "A company that publishes postings"
        interfaces = (relay.Node,)
        fields = ()
        use_connection = False

    name = graphene.String(required=True, description="Name of the company")


class PostingNode(DjangoObjectType):
    """The type Posting. Rows come from `RecordApi.for_nodes`."""

    class Meta:
        model = Posting
        name = "Posting"
        description = "A job posting"
        interfaces = (relay.Node,)
        fields = ()
        use_connection = False

    source = graphene.String(required=True, description="Source of the posting")
    external_id = graphene.String(required=True, description="Id of the posting at its source")
    title = graphene.String(required=True, description="Title of the job")
    company = graphene.Field(CompanyNode, description="The company that publishes it")
    description = graphene.String(required=True, description="Text of the posting, in Markdown")
    language = graphene.String(required=True, description="Language of the text, such as en")
    city = graphene.String(required=True, description="City; empty if unknown")
    region = graphene.String(required=True, description="Region; empty if unknown")
    country = graphene.String(
        required=True,
        description="ISO 3166 code of the country, or its name if it has none; empty if unknown",
    )
    places = places_field("Places of work, or for remote work the places that it is limited to")
    remote = graphene.Boolean(required=True, description="True if the work can be done from anywhere")
    employment_type = graphene.Field(EmploymentTypeEnum, description="The type of employment")
    experience_years = graphene.Float(description="Years of experience asked for")
    english_level = graphene.Field(EnglishLevelEnum, description="Level of English asked for")
    salary_min = graphene.Float(description="Lower end of the salary, per salaryPeriod")
    salary_max = graphene.Float(description="Upper end of the salary, per salaryPeriod")
    salary_currency = graphene.String(required=True, description="ISO 4217 code; empty if unknown")
    salary_period = graphene.Field(
        SalaryPeriodEnum, required=True, description="The period the salary is paid for"
    )
    job_family = graphene.String(required=True, description="Job family; empty if unknown")
    skills = graphene.List(
        graphene.NonNull(SkillType), required=True, description="Skills asked for, by name"
    )
    published_at = graphene.DateTime(description="When it was published")
    closes_at = graphene.DateTime(description="When it stops taking applications")
    status = graphene.Field(PostingStatusEnum, required=True, description="Whether it takes applications")
    is_open = graphene.Boolean(
        required=True, description="True if it takes applications and its closing date is not past"
    )
    updated_at = graphene.DateTime(required=True, description="When it was last changed")

    resolve_skills = staticmethod(skills_of_record)
    resolve_places = staticmethod(places_of_record)

    @staticmethod
    def resolve_employment_type(root: Posting, _info: Any) -> str | None:
        return root.employment_type or None


PostingFilterInput = filter_input(
    "PostingFilter",
    PostingFilterSet,
    enums={"english_level": EnglishLevelEnum, "employment_type": EmploymentTypeEnum},
    description="Conditions on postings. All of them must hold.",
)


class PostingConnection(CountedConnection):
    """The type PostingConnection."""

    class Meta:
        node = PostingNode
        strict_types = True
