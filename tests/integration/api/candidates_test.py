"""candidates over HTTP."""

from typing import Any

import pytest

from apps.candidates.inputs import CandidateInput
from apps.candidates.models import Candidate
from apps.candidates.services import upsert_candidates
from apps.embeddings.models import EmbeddingModel
from tests.integration.api.conftest import Api, names

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
        # 4,000 a month are 48,000 a year; candidates without a salary meet the filter too
        ({"salaryMax": "47999", "salaryCurrency": "EUR"}, ["c0", "c1", "c2", "c3", "c4", "c6"]),
        ({"salaryMax": "48000", "salaryCurrency": "EUR"}, [f"c{number}" for number in range(7)]),
    ],
)
def test_candidates_with_a_filter_are_those_who_meet_it(
    corpus: EmbeddingModel, recruiter: Api, given: dict[str, Any], found: list[str]
) -> None:
    upsert_candidates([CandidateInput.model_validate({"headline": "Somebody"} | person) for person in PEOPLE])
    assert Candidate.objects.count() == 7
    data = recruiter.data(
        "query ($filter: CandidateFilter) { candidates(first: 50, filter: $filter) {"
        " totalCount edges { node { externalId } } } }",
        filter=given,
    )["candidates"]
    assert sorted(names(data)) == found
    assert data["totalCount"] == len(found)


def test_pages_hold_every_candidate_once_when_rows_are_edited_in_the_order_last_added(
    corpus: EmbeddingModel, recruiter: Api
) -> None:
    query = """query ($after: String) { candidates(first: 3, after: $after, orderBy: LAST_ADDED) {
        pageInfo { hasNextPage endCursor } edges { node { externalId } } } }"""
    upsert_candidates([CandidateInput.model_validate({"headline": "Somebody"} | person) for person in PEOPLE])
    found: list[str] = []
    after, more = None, True
    while more:
        data = recruiter.data(query, after=after)["candidates"]
        found += names(data)
        more, after = data["pageInfo"]["hasNextPage"], data["pageInfo"]["endCursor"]
        for candidate in Candidate.objects.exclude(external_id__in=found)[:1]:
            candidate.experience_years = 60
            candidate.save()
    assert sorted(found) == [f"c{number}" for number in range(7)]


def test_candidates_in_each_order_start_with_the_largest_value(
    corpus: EmbeddingModel, recruiter: Api
) -> None:
    query = "query ($order: CandidateOrder) { candidates(orderBy: $order) { edges { node { externalId } } } }"
    upsert_candidates([CandidateInput.model_validate({"headline": "Somebody"} | person) for person in PEOPLE])
    Candidate.objects.get(external_id="c1").save()

    def first(order: str, count: int) -> list[str]:
        data = recruiter.data(query, order=order)["candidates"]
        return names(data)[:count]

    added = list(Candidate.objects.order_by("-pk").values_list("external_id", flat=True))
    without_years = [name for name in added if name not in ("c3", "c4")]
    assert first("MOST_EXPERIENCED", 7) == ["c3", "c4", *without_years]
    assert first("LAST_ADDED", 7) == added
    assert first("LAST_CHANGED", 1) == ["c1"]
