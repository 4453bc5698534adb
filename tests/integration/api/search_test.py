"""Searches by text, skills and profiles over HTTP, also while the embedding server is unavailable."""

import socket
from typing import Any
from unittest.mock import patch

import pytest
from django.test import Client

from apps.candidates.models import Candidate
from apps.embeddings.client import embedding_server
from apps.embeddings.models import CandidateEmbedding
from apps.postings.models import Company
from apps.recommendations.text_index import update_text_index
from apps.rpc.errors import TransientRpcError
from tests.integration.api.conftest import Api, names

pytestmark = pytest.mark.usefixtures("corpus")


def test_search_without_the_embedding_server_uses_full_text_and_skills_and_is_not_cached(
    anonymous: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(*_: Any, **__: Any) -> None:
        raise TransientRpcError("embedding server is unavailable")

    monkeypatch.setattr("apps.recommendations.profiles.query_vector", unavailable)
    query = """query($text: String, $skills: [String!]) {
        searchPostings(text: $text, skills: $skills, first: 30) { degraded edges { node { externalId }
            explanation { vectorScore textScore matchedSkills { name } } } } }"""
    data = anonymous.data(query, text="somebody who knows Postgres")["searchPostings"]
    assert data["degraded"] is True
    # All matching rows come: those with the skill first, then the newest.
    assert len(names(data)) == 30
    assert set(names(data)[:10]) == {f"p{number}" for number in range(2, 30, 3)}
    assert data["edges"][0]["explanation"]["vectorScore"] is None
    update_text_index("posting", limit=100)
    data = anonymous.data(query, text="posting 17")["searchPostings"]
    assert (data["degraded"], names(data)[0]) == (True, "p17")
    assert data["edges"][0]["explanation"]["textScore"] == 1.0

    # The degraded result is not cached, so the full one comes once the server is available again.
    monkeypatch.setattr("apps.recommendations.profiles.query_vector", lambda *_: [1.0, 0.0, 0.0, 0.0])
    data = anonymous.data(query, text="somebody who knows Postgres")["searchPostings"]
    assert (data["degraded"], len(data["edges"])) == (False, 30)


def test_search_opens_the_breaker_when_the_embedding_server_does_not_respond(
    anonymous: Api, settings: Any
) -> None:
    query = "query($text: String) { searchPostings(text: $text) { degraded } }"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.EMBEDDING_ADDRESS, settings.EMBED_DEADLINE = f"127.0.0.1:{silent.getsockname()[1]}", 0.2
        embedding_server.cache_clear()
        try:
            client = embedding_server()
            for number in range(5):
                assert anonymous.data(query, text=f"nurse {number}")["searchPostings"]["degraded"] is True
            assert client.breaker.opened
            with patch.object(client, "_call") as called:
                assert anonymous.data(query, text="driver")["searchPostings"]["degraded"] is True
            called.assert_not_called()
        finally:
            embedding_server().close()
            embedding_server.cache_clear()


def test_search_of_candidates_ranks_by_text_and_skills(
    recruiter: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.recommendations.profiles.query_vector", lambda *_: [1.0, 0.0, 0.0, 0.0])
    CandidateEmbedding.objects.filter(candidate__external_id="c0").update(vector=[0.0, 1.0, 0.0, 0.0])
    Candidate.objects.filter(external_id="c1").update(experience_years=1)
    update_text_index("candidate", limit=100)
    query = """{ searchCandidates(text: "somebody", skills: ["k8s", "python3"], experienceYears: 4) {
        edges { node { externalId }
            explanation { vectorScore experienceFit matchedSkills { name } missingSkills { name } } } } }"""
    edges = recruiter.data(query)["searchCandidates"]["edges"]
    assert [edge["node"]["externalId"] for edge in edges] == ["c1", "c2", "c0"]
    assert edges[0]["explanation"] == {
        "vectorScore": 1.0,
        "experienceFit": 0.25,
        "matchedSkills": [{"name": "Python"}],
        "missingSkills": [{"name": "Kubernetes"}],
    }


def test_search_without_text_and_skills_is_refused(anonymous: Api) -> None:
    assert anonymous.error("{ searchPostings { totalCount } }") == (
        "BAD_USER_INPUT",
        "text: give a text or skills",
    )
    query = 'query { recommendedPostingsForProfile(profile: {text: " "}) { totalCount } }'
    assert anonymous.error(query)[1] == "profile.text: give a text or skills"
    query = "query($skills: [String!]) { searchPostings(skills: $skills) { totalCount } }"
    for skills, message in (
        ([" "], "text: give a text or skills"),
        (["SQL", "\x00"], "skills[1]: contains a NUL character"),
        (["x" * 101], "skills[0]: 101 characters are too many, at most 100"),
    ):
        assert anonymous.error(query, skills=skills) == ("BAD_USER_INPUT", message)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            'searchPostings(text: "nurse", experienceYears: -1)',
            "experienceYears: must be between 0 and 80, not -1",
        ),
        (
            'recommendedPostingsForProfile(profile: {text: "nurse", salaryPerYear: 9, salaryCurrency: "$"})',
            "profile.salaryCurrency: '$' is not an ISO 4217 code, such as EUR",
        ),
        (
            'recommendedPostingsForProfile(profile: {text: "nurse", salaryPerYear: -0.5})',
            "profile.salaryPerYear: must be between 0 and 10,000,000,000, not -0.5",
        ),
    ],
)
def test_search_with_a_value_out_of_range_is_refused(anonymous: Api, query: str, message: str) -> None:
    assert anonymous.error(f"{{ {query} {{ totalCount }} }}") == ("BAD_USER_INPUT", message)


def test_a_profile_gets_recommendations_without_being_stored(
    anonymous: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.recommendations.profiles.query_vector", lambda *_: [0.0, 1.0, 0.0, 0.0])
    query = """query($profile: ProfileInput!) { recommendedPostingsForProfile(profile: $profile, first: 3) {
        edges { node { externalId } explanation { experienceFit englishFit locationFit } } } }"""
    profile = {
        "text": "I write",
        "skills": ["Python"],
        "experienceYears": 9,
        "englishLevel": "FLUENT",
        "city": "oslo",
    }
    data = anonymous.data(query, profile=profile)["recommendedPostingsForProfile"]
    assert {"p29", "p28", "p26", "p25"} & set(names(data))
    assert data["edges"][0]["explanation"]["experienceFit"] == 1.0
    assert Candidate.objects.count() == 3


def test_search_has_the_new_order_once_the_admin_saved_options_of_the_ranking(
    anonymous: Api,
    admin_client: Client,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    monkeypatch.setattr("apps.recommendations.profiles.query_vector", lambda *_: [1.0, 0.0, 0.0, 0.0])
    query = (
        '{ searchPostings(text: "somebody", first: 5) { edges { node { externalId company { name } } } } }'
    )

    def companies() -> set[str]:
        edges = anonymous.data(query)["searchPostings"]["edges"]
        return {edge["node"]["company"]["name"] for edge in edges}

    assert len(companies()) > 1
    form = {
        "own_company": 1,
        "own_companies": [Company.objects.get(name="Company 3").pk],
        "capped_places": 10,
    }
    with django_capture_on_commit_callbacks(execute=True):
        response = admin_client.post("/admin/recommendations/rankingoptions/add/", form)
    assert response.status_code == 302
    assert companies() == {"Company 3"}
    assert admin_client.get("/admin/recommendations/rankingoptions/add/").status_code == 403  # one row only
