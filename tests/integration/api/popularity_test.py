"""What is counted of anonymous requests, and in which order it is warmed."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from redis import Redis
from redis.exceptions import RedisError

from apps.api.popularity import KEPT, LARGEST, most_asked
from apps.api.request import GraphQLRequest
from apps.caching import shared
from apps.caching.shared import CacheUnavailableError
from tests.integration.api.conftest import Api, user_with
from tests.stack import wait_until

POSTINGS = "query($first: Int) { postings(first: $first) { totalCount } }"
SKILLS = "{ skillCategories { name } }"
PROFILE = "query($profile: ProfileInput!) { recommendedPostingsForProfile(profile: $profile) { totalCount } }"
SEARCH = "query($text: String!) { searchPostings(text: $text) { totalCount } }"

pytestmark = pytest.mark.usefixtures("corpus", "clean_cache", "subscribed")


@pytest.fixture(autouse=True)
def vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an embedding server answers would be degraded, which are neither kept nor counted."""
    monkeypatch.setattr("apps.recommendations.profiles.query_vector", lambda *_: [1.0, 0.0, 0.0, 0.0])


@pytest.fixture
def mark() -> str:
    """A comment that this test's queries have and no other's: what other tests asked may be carried late."""
    return f" # {uuid4()}"


def ask(query: str, *, client: Any = None, status: int = 200, **variables: Any) -> None:
    response = (client or Client()).post(
        "/graphql", {"query": query, "variables": variables}, content_type="application/json"
    )
    assert response.status_code == status


def most_asked_here(mark: str) -> list[GraphQLRequest]:
    """Queries without the mark."""
    return [
        replace(asked, query=asked.query.removesuffix(mark))
        for asked in most_asked(KEPT)
        if asked.query.endswith(mark)
    ]


def test_public_answers_are_counted_hits_among_them(mark: str) -> None:
    for _ in range(3):
        ask(SKILLS + mark)
    ask(POSTINGS + mark, first=2)
    expected = [GraphQLRequest(SKILLS, {}, None), GraphQLRequest(POSTINGS, {"first": 2}, None)]
    wait_until(lambda: most_asked_here(mark) == expected, "both requests are counted, the first more often")
    assert len(most_asked(1)) == 1
    assert most_asked(0) == []


def test_what_is_asked_while_redis_is_away_is_counted_when_it_is_back(mark: str) -> None:
    def fails(_: Redis) -> None:
        raise RedisError("away")

    with pytest.raises(CacheUnavailableError):
        shared.read(fails)  # nobody asks it for more than two carries
    ask(SKILLS + mark)
    assert shared.breaker.opened
    wait_until(lambda: not shared.breaker.opened, "Redis is asked again")
    wait_until(lambda: most_asked_here(mark) == [GraphQLRequest(SKILLS, {}, None)], "the request is counted")


def test_nothing_of_a_person_is_counted(mark: str) -> None:
    ask(PROFILE + mark, profile={"text": "a nurse with twelve years in intensive care"})
    ask(SEARCH + mark, text="a nurse " * (LARGEST // 8))  # a whole résumé
    ask(
        SEARCH + mark, text="Jane Roe, a nurse in Oslo, " + "reachable by day and night. " * 4
    )  # the head of one
    ask('{ searchPostings(text: "' + "Jane Roe of Oslo " * 8 + '") { totalCount } }' + mark)
    ask(SKILLS + mark, client=Api(user_with()).client)
    ask("{ postings(first: 0) { totalCount } }" + mark)  # an error
    ask(SEARCH + mark, text="nurse")
    wait_until(lambda: most_asked_here(mark), "something is counted")
    assert most_asked_here(mark) == [GraphQLRequest(SEARCH, {"text": "nurse"}, None)]
