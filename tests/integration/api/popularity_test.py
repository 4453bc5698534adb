"""The popularity of anonymous requests, as the cache warmer reads it."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from redis import Redis
from redis.exceptions import RedisError

from apps.api.popularity import MAX_BYTES, MAX_REQUESTS, popular_requests
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
    """Vectors without an embedding server. Degraded responses would be neither cached nor counted."""
    monkeypatch.setattr("apps.recommendations.profiles.query_vector", lambda *_: [1.0, 0.0, 0.0, 0.0])


@pytest.fixture
def mark() -> str:
    """A comment that only the queries of this test have, since those of other tests may be counted late."""
    return f" # {uuid4()}"


def ask(query: str, *, client: Any = None, status: int = 200, **variables: Any) -> None:
    response = (client or Client()).post(
        "/graphql", {"query": query, "variables": variables}, content_type="application/json"
    )
    assert response.status_code == status


def popular_here(mark: str) -> list[GraphQLRequest]:
    """Queries without the mark."""
    return [
        replace(request, query=request.query.removesuffix(mark))
        for request in popular_requests(MAX_REQUESTS)
        if request.query.endswith(mark)
    ]


def test_public_requests_are_counted_whether_cached_or_not(mark: str) -> None:
    for _ in range(3):
        ask(SKILLS + mark)
    ask(POSTINGS + mark, first=2)
    expected = [GraphQLRequest(SKILLS, {}, None), GraphQLRequest(POSTINGS, {"first": 2}, None)]
    wait_until(lambda: popular_here(mark) == expected, "both requests are counted, the first more often")
    assert len(popular_requests(1)) == 1
    assert popular_requests(0) == []


def test_requests_are_counted_later_if_redis_is_unavailable(mark: str) -> None:
    def fails(_: Redis) -> None:
        raise RedisError("away")

    with pytest.raises(CacheUnavailableError):
        shared.read(fails)  # nobody asks it for more than two carries
    ask(SKILLS + mark)
    assert shared.breaker.opened
    wait_until(lambda: not shared.breaker.opened, "the circuit breaker closes")
    wait_until(lambda: popular_here(mark) == [GraphQLRequest(SKILLS, {}, None)], "the request is counted")


def test_private_requests_are_not_counted(mark: str) -> None:
    ask(PROFILE + mark, profile={"text": "a nurse with twelve years in intensive care"})
    ask(SEARCH + mark, text="a nurse " * (MAX_BYTES // 8))  # a whole résumé
    ask(
        SEARCH + mark, text="Jane Roe, a nurse in Oslo, " + "reachable by day and night. " * 4
    )  # the head of one
    ask('{ searchPostings(text: "' + "Jane Roe of Oslo " * 8 + '") { totalCount } }' + mark)
    ask(SKILLS + mark, client=Api(user_with()).client)
    ask("{ postings(first: 0) { totalCount } }" + mark)  # an error
    ask(SEARCH + mark, text="nurse")
    wait_until(lambda: popular_here(mark), "something is counted")
    assert popular_here(mark) == [GraphQLRequest(SEARCH, {"text": "nurse"}, None)]
