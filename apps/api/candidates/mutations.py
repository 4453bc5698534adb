"""Mutations that write candidates."""

from typing import Any

import graphene

from apps.api.access import name_of, own_candidate_id, require
from apps.api.candidates.types import CandidateNode
from apps.api.inputs import form_input
from apps.api.records import CANDIDATES
from apps.candidates.inputs import CandidateInput
from apps.candidates.models import Candidate
from apps.records.inputs import RecordInput

CHANGE_CANDIDATES = "candidates.change_candidate"

CandidateInputType = form_input(
    CandidateInput,
    CandidateNode,
    description=(
        "A whole candidate. A missing field becomes empty, even if the candidate had a value before."
    ),
    field_descriptions={
        "source": "Source of the candidate; manual by default",
        "external_id": "Id of the candidate at its source; the candidate with this source and id is replaced",
        "resume": "Résumé, in Markdown. Skills that it names are added to those of the candidate",
        "language": "Language of the texts, such as en; by default what they are detected to be, else en",
        "skills": "Names of the candidate's skills. Names that the dictionary lacks are added as unlisted",
        "salary_period": "The period the salary is paid for; a year by default",
    },
)


class UpsertCandidate(graphene.Mutation):
    """Create a candidate, or replace the one with the same source and external id.

    Its vector follows within seconds. For users who may change candidates, and for a candidate's own row.
    """

    class Arguments:
        input = CandidateInputType(required=True, description="The candidate")

    candidate = graphene.Field(CandidateNode, required=True, description="The candidate after the mutation")
    created = graphene.Boolean(required=True, description="True if the candidate is new")

    @staticmethod
    def mutate(_root: None, info: Any, input: dict[str, Any]) -> "UpsertCandidate":  # noqa: A002  named by the schema
        own_id = own_candidate_id(info)
        if own_id is None:
            require(info, CHANGE_CANDIDATES)  # before the input is read, which may tell something of the form
        form = CANDIDATES.read_input(input)
        if own_id is None or not _names_row(form, own_id):
            require(info, CHANGE_CANDIDATES)
        candidate, created = CANDIDATES.upsert(form, by=name_of(info))
        return UpsertCandidate(candidate=candidate, created=created)


def _names_row(form: RecordInput, key: int) -> bool:
    return Candidate.objects.filter(pk=key, source=form.source, external_id=form.external_id).exists()


class CandidateMutations(graphene.ObjectType):
    """The mutations of this module, as a part of the schema's Mutation."""

    upsert_candidate = UpsertCandidate.Field(required=True)
