"""Enumerations as clients see them. Values are those of the models."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

import graphene

from apps.embeddings.models import DeadLetter, EmbeddingRun, Kind
from apps.postings.models import EmploymentType, Posting
from apps.recommendations.models import Interaction
from apps.records.models import EnglishLevel, SalaryPeriod


def _enum(name: str, choices: Any, description: str) -> Any:
    members: Mapping[str, Any] = {member.name: member.value for member in choices}
    labels = {member.value: str(member.label) for member in choices}

    def describe(member: Any) -> str:
        return description if member is None else labels[member.value]

    return graphene.Enum.from_enum(Enum(name, members), description=describe)


EnglishLevelEnum = _enum("EnglishLevel", EnglishLevel, "A level of English, from none to fluent")
SalaryPeriodEnum = _enum("SalaryPeriod", SalaryPeriod, "The period a salary is for")
EmploymentTypeEnum = _enum("EmploymentType", EmploymentType, "How somebody is employed")
PostingStatusEnum = _enum("PostingStatus", Posting.Status, "Whether a posting takes applications")
InteractionActionEnum = _enum("InteractionAction", Interaction.Action, "What a candidate did with a posting")
KindEnum = _enum("EmbeddingKind", Kind, "What is embedded")
DeadLetterStateEnum = _enum("DeadLetterState", DeadLetter.State, "What became of a dead letter")
RunStateEnum = _enum("EmbeddingRunState", EmbeddingRun.State, "Where a run is")
