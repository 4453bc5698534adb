"""GraphQL types of candidates."""

import graphene
from graphene import relay
from graphene_django import DjangoObjectType

from apps.api.connections import CountedConnection
from apps.api.enums import EnglishLevelEnum, SalaryPeriodEnum
from apps.api.filters import filter_input
from apps.api.places import places_field, places_of_record
from apps.api.skills.types import SkillType, skills_of_record
from apps.candidates.filters import CandidateFilterSet
from apps.candidates.models import Candidate


class CandidateNode(DjangoObjectType):
    """The type Candidate. Rows come from `RecordApi.for_nodes`."""

    class Meta:
        model = Candidate
        name = "Candidate"
        description = "A person who looks for work. For recruiters, and for the candidate itself."
        interfaces = (relay.Node,)
        fields = ()
        use_connection = False

    source = graphene.String(required=True, description="Source of the candidate")
    external_id = graphene.String(required=True, description="Id of the candidate at its source")
    headline = graphene.String(required=True, description="One line about the candidate")
    resume = graphene.String(required=True, description="Résumé, in Markdown")
    looking_for = graphene.String(required=True, description="The work that the candidate looks for")
    language = graphene.String(required=True, description="Language of the texts, such as en")
    city = graphene.String(required=True, description="City; empty if unknown")
    region = graphene.String(required=True, description="Region; empty if unknown")
    country = graphene.String(
        required=True,
        description="ISO 3166 code of the country, or its name if it has none; empty if unknown",
    )
    places = places_field("Places where the candidate is or looks for work")
    remote = graphene.Boolean(required=True, description="True if the candidate wants remote work")
    experience_years = graphene.Float(description="Years of experience")
    english_level = graphene.Field(EnglishLevelEnum, description="Level of English")
    salary_min = graphene.Float(description="Salary expected, per salaryPeriod")
    salary_currency = graphene.String(required=True, description="ISO 4217 code; empty if unknown")
    salary_period = graphene.Field(
        SalaryPeriodEnum, required=True, description="The period the salary is paid for"
    )
    skills = graphene.List(
        graphene.NonNull(SkillType), required=True, description="The candidate's skills, by name"
    )
    updated_at = graphene.DateTime(required=True, description="When it was last changed")

    resolve_skills = staticmethod(skills_of_record)
    resolve_places = staticmethod(places_of_record)


CandidateFilterInput = filter_input(
    "CandidateFilter",
    CandidateFilterSet,
    enums={"english_level": EnglishLevelEnum},
    description="Conditions on candidates. All of them must hold.",
)


class CandidateConnection(CountedConnection):
    """The type CandidateConnection."""

    class Meta:
        node = CandidateNode
        strict_types = True
