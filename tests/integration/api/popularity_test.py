"""What is counted of anonymous requests, and in which order it is warmed."""

from typing import Any

import pytest
from django.test import Client

from apps.api.popularity import LARGEST, most_asked
from apps.api.requests import Asked
from tests.integration.api.conftest import Api, user_with
from tests.stack import wait_until

POSTINGS = "query($first: Int) { postings(first: $first) { totalCount } }"
SKILLS = "{ skillCategories { name } }"
PROFILE = "query($profile: ProfileInput!) { recommendedPostingsForProfile(profile: $profile) { totalCount } }"
SEARCH = "query($text: String!) { searchPostings(text: $text) { totalCount } }"

pytestmark = pytest.mark.usefixtures("corpus", "clean_cache")


@pytest.fixture(autouse=True)
def vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an embedding server answers would be degraded, which are neither kept nor counted."""
    monkeypatch.setattr("apps.recommendations.profiles.query_vector", lambda *_: [1.0, 0.0, 0.0, 0.0])


def ask(query: str, *, client: Any = None, status: int = 200, **variables: Any) -> None:
    response = (client or Client()).post(
        "/graphql", {"query": query, "variables": variables}, content_type="application/json"
    )
    assert response.status_code == status


def test_public_answers_are_counted_hits_among_them() -> None:
    for _ in range(3):
        ask(SKILLS)
    ask(POSTINGS, first=2)
    expected = [Asked(SKILLS, {}, None), Asked(POSTINGS, {"first": 2}, None)]
    wait_until(lambda: most_asked(10) == expected, "both requests are counted, the first more often")
    assert most_asked(1) == expected[:1]
    assert most_asked(0) == []


def test_nothing_of_a_person_is_counted() -> None:
    ask(PROFILE, profile={"text": "a nurse with twelve years in intensive care"})
    ask(SEARCH, text="a nurse " * (LARGEST // 8))  # a whole résumé
    ask(SEARCH, text="Jane Roe, a nurse in Oslo, " + "reachable by day and night. " * 4)  # the head of one
    ask('{ searchPostings(text: "' + "Jane Roe of Oslo " * 8 + '") { totalCount } }')
    ask(SKILLS, client=Api(user_with()).client)
    ask("{ postings(first: 0) { totalCount } }")  # an error
    ask(SEARCH, text="nurse")
    wait_until(lambda: most_asked(10), "something is counted")
    assert most_asked(10) == [Asked(SEARCH, {"text": "nurse"}, None)]
