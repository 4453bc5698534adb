"""GraphQL enums generated from the choices of the models, so that a choice is declared once."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

import graphene

from apps.embeddings.models import DeadLetter, EmbeddingRun, Kind
from apps.postings.models import EmploymentType, Posting
from apps.recommendations.models import Interaction
from apps.records.models import EnglishLevel, SalaryPeriod


def _enum(name: str, choices: Any, description: str) -> Any:
    """A GraphQL enum with the names, values and labels of a Django choices class."""
    members: Mapping[str, Any] = {member.name: member.value for member in choices}
    labels = {member.value: str(member.label) for member in choices}

    def describe(member: Any) -> str:
        return description if member is None else labels[member.value]

    return graphene.Enum.from_enum(Enum(name, members), description=describe)


def enum_value(given: Any) -> Any:
    """The model's value of an enum argument; any other argument unchanged."""
    return getattr(given, "value", given)


EnglishLevelEnum = _enum("EnglishLevel", EnglishLevel, "A level of English, from none to fluent")
SalaryPeriodEnum = _enum("SalaryPeriod", SalaryPeriod, "The period a salary is paid for")
EmploymentTypeEnum = _enum("EmploymentType", EmploymentType, "The type of employment")
PostingStatusEnum = _enum("PostingStatus", Posting.Status, "Whether a posting takes applications")
InteractionActionEnum = _enum("InteractionAction", Interaction.Action, "What a candidate did with a posting")
KindEnum = _enum("EmbeddingKind", Kind, "A kind of rows that are embedded")
DeadLetterStateEnum = _enum("DeadLetterState", DeadLetter.State, "The state of a dead letter")
RunStateEnum = _enum("EmbeddingRunState", EmbeddingRun.State, "The state of an embedding run")

# The enum of each choices class that a field of a form may have.
FORM_ENUMS: Mapping[type[Enum], Any] = {
    EnglishLevel: EnglishLevelEnum,
    SalaryPeriod: SalaryPeriodEnum,
    EmploymentType: EmploymentTypeEnum,
    Posting.Status: PostingStatusEnum,
}
