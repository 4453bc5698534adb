from typing import Any

import pytest

from apps.candidates.inputs import CandidateInput
from apps.candidates.models import Candidate
from apps.candidates.services import upsert_candidates
from apps.embeddings.models import EmbeddingModel
from tests.integration.api.conftest import Api

PEOPLE: list[dict[str, Any]] = [
    {"external_id": "c3", "experience_years": 8, "english_level": "C1", "city": "Oslo", "remote": True},
    {"external_id": "c4", "experience_years": 2, "english_level": "B1", "skills": ["PostgreSQL", "Python"]},
    {"external_id": "c5", "salary_min": 4_000, "salary_period": "month", "salary_currency": "EUR"},
    {"external_id": "c6", "source": "elsewhere"},
]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"experienceYears": "2"}, ["c3", "c4"]),
        ({"experienceYears": "2.5"}, ["c3"]),
        ({"englishLevel": "INTERMEDIATE"}, ["c3", "c4"]),
        ({"englishLevel": "FLUENT"}, ["c3"]),
        ({"location": "oslo"}, ["c3"]),
        ({"remote": True}, ["c3"]),
        ({"skills": ["postgres", "python3"]}, ["c4"]),
        ({"source": "elsewhere"}, ["c6"]),
        # 48,000 a year; who says nothing could be had for it
        ({"salaryMax": "47999", "salaryCurrency": "EUR"}, ["c0", "c1", "c2", "c3", "c4", "c6"]),
        ({"salaryMax": "48000", "salaryCurrency": "EUR"}, [f"c{number}" for number in range(7)]),
    ],
)
def test_filters(corpus: EmbeddingModel, recruiter: Api, given: dict[str, Any], found: list[str]) -> None:
    upsert_candidates([CandidateInput.model_validate({"headline": "Somebody"} | person) for person in PEOPLE])
    assert Candidate.objects.count() == 7
    data = recruiter.data(
        "query ($filter: CandidateFilter) { candidates(first: 50, filter: $filter) { totalCount edges { node { externalId } } } }",
        filter=given,
    )["candidates"]
    assert sorted(edge["node"]["externalId"] for edge in data["edges"]) == found
    assert data["totalCount"] == len(found)
