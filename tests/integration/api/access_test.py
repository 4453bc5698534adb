"""Permissions, rates and origins."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.test import Client, RequestFactory
from redis.exceptions import ConnectionError as RedisConnectionError

from apps.access.rates import check_rate
from apps.api.admission import address_of
from apps.candidates.models import Candidate
from apps.postings.models import Posting
from apps.recommendations.models import Interaction
from tests.integration.api.conftest import Api, key, user_with

pytestmark = pytest.mark.usefixtures("corpus")

POST: Any = {"content_type": "application/json"}
TYPENAME: Any = {"query": "{ __typename }"}


def test_a_candidate_reads_its_own_data_and_no_one_elses() -> None:
    user = user_with()
    Candidate.objects.filter(external_id="c1").update(user=user)
    api = Api(user)
    assert api.data("query($id: ID!) { candidate(id: $id) { headline } }", id=key("c1"))["candidate"] == {
        "headline": "Candidate 1"
    }
    for query in (
        "query($id: ID!) { candidate(id: $id) { headline } }",
        "query($id: ID!) { recommendedPostings(candidateId: $id) { totalCount } }",
        "query($id: ID!) { skillMatch(postingId: 1, candidateId: $id) { coverage } }",
    ):
        assert api.error(query, id=key("c2"))[0] == "FORBIDDEN"
    assert api.error("{ candidates { totalCount } }")[0] == "FORBIDDEN"
    assert api.error('{ searchCandidates(text: "x") { totalCount } }')[0] == "FORBIDDEN"
    assert api.error("{ searchStatistics(kind: CANDIDATE) { total } }")[0] == "FORBIDDEN"
    assert api.error("{ deadLetters { totalCount } }")[0] == "FORBIDDEN"
    assert api.error("mutation { closePosting(id: 1) { posting { id } } }")[0] == "FORBIDDEN"
    assert (
        api.error("mutation { invalidateCache(namespaces: [POSTINGS]) { processesReached } }")[0]
        == "FORBIDDEN"
    )


def test_an_interaction_is_recorded_by_its_own_candidate_only(anonymous: Api) -> None:
    user = user_with()
    Candidate.objects.filter(external_id="c1").update(user=user)
    record = """mutation($c: ID!, $p: ID!) {
        recordInteraction(candidateId: $c, postingId: $p, action: SAVED) { interaction { action } } }"""
    assert (
        Api(user).data(record, c=key("c1"), p=key("p1"))["recordInteraction"]["interaction"]["action"]
        == "SAVED"
    )
    assert Api(user).error(record, c=key("c2"), p=key("p1"))[0] == "FORBIDDEN"
    assert Api(user_with("view_candidate")).error(record, c=key("c1"), p=key("p1"))[0] == "FORBIDDEN"
    assert anonymous.error(record, c=key("c1"), p=key("p1"))[0] == "UNAUTHENTICATED"
    assert list(Interaction.objects.values_list("candidate__external_id", "posting__external_id")) == [
        ("c1", "p1")
    ]


def test_a_recruiter_upserts_candidates_and_others_may_not(recruiter: Api, no_broker: list[Any]) -> None:
    upsert = """mutation($input: CandidateInput!) { upsertCandidate(input: $input) {
        created candidate { headline experienceYears englishLevel skills { name } } } }"""
    values = {"externalId": "c9", "headline": "A nurse", "experienceYears": 3.5, "skills": ["python3"]}
    assert recruiter.data(upsert, input=values)["upsertCandidate"] == {
        "created": True,
        "candidate": {
            "headline": "A nurse",
            "experienceYears": 3.5,
            "englishLevel": None,
            "skills": [{"name": "Python"}],
        },
    }
    assert recruiter.error(upsert, input={"externalId": "nothing"}) == (
        "BAD_USER_INPUT",
        "input: empty: a candidate needs a headline, a resume, lookingFor or skills",
    )
    again = recruiter.data(upsert, input=values | {"englishLevel": "FLUENT"})["upsertCandidate"]
    assert (again["created"], again["candidate"]["englishLevel"]) == (False, "FLUENT")
    for wrong, field in (({"experienceYears": 81}, "experienceYears"), ({"headline": "\x00"}, "headline")):
        code, message = recruiter.error(upsert, input=values | wrong)
        assert (code, message.split(":")[0]) == ("BAD_USER_INPUT", f"input.{field}")
    many = recruiter.error(upsert, input=values | {"skills": ["x"] * 501})
    assert many == ("BAD_USER_INPUT", "input.skills: more than 500 entries")
    assert Candidate.objects.get(external_id="c9").experience_years == Decimal("3.5")
    reader = Api(user_with("view_candidate"))
    assert reader.error(upsert, input=values)[0] == "FORBIDDEN"
    assert Api().error(upsert, input={"externalId": "\x00"})[0] == "UNAUTHENTICATED"


def test_a_mutation_is_refused_by_get_and_as_a_form(recruiter: Api) -> None:
    close = f'mutation {{ closePosting(id: "{key("p3")}") {{ posting {{ id }} }} }}'
    response = recruiter.client.get("/graphql", {"query": close})
    assert (response.status_code, response["Allow"]) == (405, "GET, POST")
    assert response.json()["errors"][0]["extensions"]["code"] == "METHOD_NOT_ALLOWED"
    response = recruiter.client.post("/graphql", {"query": close})  # as a form of another site may
    assert response.status_code == 415
    assert response.json()["errors"][0]["extensions"]["code"] == "UNSUPPORTED_CONTENT_TYPE"
    assert Posting.objects.get(external_id="p3").status == "open"
    response = recruiter.client.post("/graphql", close, content_type="application/graphql")
    assert response.json()["data"]["closePosting"]["posting"]["id"]


@pytest.mark.parametrize("rate", ["60", "60/fortnight", "many"])
def test_an_invalid_rate_is_reported_at_the_start(rate: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"RATE_LIMIT_ANONYMOUS=.* is not a rate"):
        check_rate("RATE_LIMIT_ANONYMOUS", rate)


def test_rates_are_counted_by_address_and_by_user_and_cached_responses_are_free(
    anonymous: Api, settings: Any
) -> None:
    settings.RATE_LIMIT_ANONYMOUS, settings.RATE_LIMIT_SIGNED_IN = "3/hour", "5/hour"
    for number in range(3):
        anonymous.data(f"{{ a{number}: __typename }}")
    response = anonymous.client.post("/graphql", {"query": "{ a9: __typename }"}, **POST)
    assert response.status_code == 429
    assert 0 < int(response["Retry-After"]) <= 3600
    [error] = response.json()["errors"]
    assert error["extensions"] == {"code": "RATE_LIMITED", "limit": "RATE_LIMIT_ANONYMOUS", "bound": "3/hour"}
    # What is cached is free, and another address and a user have rates of their own.
    assert anonymous.data("{ a0: __typename }") == {"a0": "Query"}
    elsewhere = anonymous.client.post(
        "/graphql", {"query": "{ a8: __typename }"}, **POST, REMOTE_ADDR="10.0.0.9"
    )
    assert elsewhere.status_code == 200
    api = Api(user_with())
    assert [api.client.post("/graphql", TYPENAME, **POST).status_code for _ in range(6)] == [200] * 5 + [429]


def test_rates_count_the_cost_of_a_request(anonymous: Api, settings: Any) -> None:
    settings.RATE_LIMIT_ANONYMOUS, settings.RATE_LIMIT_COST = "5/hour", 500

    def status(number: int, size: int) -> int:
        content = {
            "query": f"{{ postings(first: {size}) {{ edges {{ node {{ n{number}: id title city }} }} }} }}"
        }
        return int(anonymous.client.post("/graphql", content, **POST).status_code)

    # The small ones count as one request each, the large ones for what they cost: the rate is used up.
    assert [status(1, 10), status(2, 10), status(3, 100), status(4, 100)] == [200, 200, 200, 429]
    settings.RATE_LIMIT_ANONYMOUS = "1/minute"  # even a rate of one lets every request through once
    assert [status(5, 100), status(6, 10)] == [200, 429]


def test_the_address_of_a_client_comes_from_trusted_proxies_only(anonymous: Api, settings: Any) -> None:
    settings.RATE_LIMIT_ANONYMOUS = "1/hour"

    def status(number: int, forwarded: str) -> int:
        content = {"query": f"{{ b{number}: __typename }}"}
        headers = {"X-Forwarded-For": forwarded}
        return anonymous.client.post("/graphql", content, **POST, headers=headers).status_code

    # Nobody is trusted: what a client claims changes nothing.
    assert [status(1, "1.1.1.1"), status(2, "2.2.2.2")] == [200, 429]
    settings.TRUSTED_PROXIES = 1
    assert [status(3, "9.9.9.9, 1.1.1.1"), status(4, "8.8.8.8, 1.1.1.1"), status(5, "1.1.1.1, 2.2.2.2")] == [
        200,
        429,
        200,
    ]


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:aaaa::7", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("unknown", "unknown"),
    ],
)
def test_the_address_of_an_ipv6_client_is_counted_as_its_network(address: str, counted: str) -> None:
    assert address_of(RequestFactory().get("/", REMOTE_ADDR=address)) == counted


def test_sign_in_is_refused_after_too_many_tries(settings: Any, client: Client) -> None:
    settings.RATE_LIMIT_LOGIN = "2/hour"
    User.objects.create_superuser("root", password="the right one")
    wrong, right = ({"username": "root", "password": given} for given in ("a guess", "the right one"))
    pages = [client.post("/admin/login/", wrong).content.decode() for _ in range(3)]
    assert ["Too many attempts. Try again in" in page for page in pages] == [False, False, True]
    assert client.post("/admin/login/", right).status_code == 200  # and nobody is signed in
    assert client.post("/admin/login/?next=/admin/", right, REMOTE_ADDR="10.0.0.9").status_code == 302


def test_rates_refuse_no_one_while_redis_is_unavailable(
    anonymous: Api, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.RATE_LIMIT_ANONYMOUS = "1/hour"

    def gone(*_: Any, **__: Any) -> Any:
        raise RedisConnectionError("gone")

    monkeypatch.setattr("redis.connection.ConnectionPool.get_connection", gone)
    for number in range(3):
        assert anonymous.data(f"{{ c{number}: __typename }}") == {f"c{number}": "Query"}


def test_introspection_is_refused_where_it_is_turned_off(anonymous: Api, settings: Any) -> None:
    assert anonymous.data("{ __schema { queryType { name } } }")["__schema"]["queryType"]["name"] == "Query"
    settings.GRAPHQL_INTROSPECTION = False
    assert {
        error["extensions"]["code"] for error in anonymous("{ __schema { queryType { kind } } }")["errors"]
    } == {"GRAPHQL_VALIDATION_FAILED"}


def test_only_configured_origins_may_read_from_a_browser() -> None:
    def allowed(origin: str) -> str | None:
        response = Client().post("/graphql", TYPENAME, **POST, headers={"Origin": origin})
        assert response.status_code == 200
        return response.headers.get("Access-Control-Allow-Origin")

    for _ in range(3):  # computed, then from the cache
        assert allowed("https://jobs.example.org") == "https://jobs.example.org"
        assert allowed("https://evil.example.org") is None
    preflight = Client().options(
        "/graphql",
        headers={"Origin": "https://jobs.example.org", "Access-Control-Request-Method": "POST"},
    )
    assert "POST" in preflight["Access-Control-Allow-Methods"]


def test_a_body_that_is_too_large_is_refused_before_it_is_read(anonymous: Api, settings: Any) -> None:
    settings.GRAPHQL_MAX_BODY = 1_000
    response = anonymous.client.post("/graphql", {"query": "{ __typename }" + " " * 1_000}, **POST)
    assert response.status_code == 413
    [error] = response.json()["errors"]
    assert error["extensions"] == {"code": "BODY_TOO_LARGE", "limit": "GRAPHQL_MAX_BODY", "bound": 1_000}


def test_a_page_that_is_too_large_is_refused_with_its_bound(anonymous: Api) -> None:
    [error] = anonymous("{ postings(first: 101) { totalCount } }")["errors"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "field": "first", "limit": "first", "bound": 100}
