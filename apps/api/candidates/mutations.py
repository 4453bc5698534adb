from typing import Any

import graphene

from apps.api.access import own_candidate_id, require
from apps.api.candidates.queries import for_nodes
from apps.api.candidates.types import CandidateNode
from apps.api.enums import EnglishLevelEnum, SalaryPeriodEnum
from apps.api.inputs import validated
from apps.candidates.inputs import CandidateInput
from apps.candidates.models import Candidate
from apps.candidates.services import upsert_candidates
from apps.embeddings.hints import embed_soon
from apps.embeddings.models import Kind


class CandidateInputType(graphene.InputObjectType):
    """A whole candidate: what is left out is empty, also where the candidate was there before."""

    class Meta:
        name = "CandidateInput"

    source = graphene.String(description="Source it comes from; manual by default")
    external_id = graphene.String(
        required=True, description="What the source calls it: the same again updates it"
    )
    headline = graphene.String(description="A line about the candidate")
    resume = graphene.String(description="Résumé, in Markdown; skills named in it are found")
    looking_for = graphene.String(description="What the candidate looks for")
    language = graphene.String(description="Language of the texts; en by default")
    city = graphene.String(description="City")
    region = graphene.String(description="Region")
    country = graphene.String(description="Country")
    remote = graphene.Boolean(description="Whether remote work is wanted")
    experience_years = graphene.Float(description="Years of experience")
    english_level = EnglishLevelEnum(description="Level of English")
    salary_min = graphene.Float(description="Salary expected")
    salary_currency = graphene.String(description="ISO 4217 code")
    salary_period = SalaryPeriodEnum(description="The period the salary is for; a year by default")
    skills = graphene.List(
        graphene.NonNull(graphene.String), description="Names of skills; unknown ones are added"
    )


class UpsertCandidate(graphene.Mutation):
    """Creates a candidate, or replaces it by source and external id. Its vector follows within seconds.

    For users who may change candidates, and for a candidate's own row.
    """

    class Arguments:
        input = CandidateInputType(required=True, description="The candidate")

    candidate = graphene.Field(CandidateNode, required=True, description="The candidate as it stands now")
    created = graphene.Boolean(required=True, description="Whether it is new")

    @staticmethod
    def mutate(_root: None, info: Any, input: dict[str, Any]) -> "UpsertCandidate":  # noqa: A002  named by the schema
        own = own_candidate_id(info)
        if own is None:
            require(info, "candidates.change_candidate")
        form = validated(CandidateInput, input, argument="input")
        if own is None or not _is_row(form, own):
            require(info, "candidates.change_candidate")
        upserted = upsert_candidates([form])
        if upserted.changed:
            embed_soon(Kind.CANDIDATE)
        key = (upserted.changed + upserted.unchanged)[0]
        return UpsertCandidate(
            candidate=for_nodes(Candidate.objects.filter(pk=key)).get(), created=bool(upserted.inserted)
        )


def _is_row(form: CandidateInput, key: int) -> bool:
    return Candidate.objects.filter(pk=key, source=form.source, external_id=form.external_id).exists()


class CandidateMutations(graphene.ObjectType):
    upsert_candidate = UpsertCandidate.Field(required=True)
