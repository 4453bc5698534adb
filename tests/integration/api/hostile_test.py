"""Hostile requests: each is answered quickly, as JSON, with the reason and without an internal error."""

import base64
import json
import time
from typing import Any

import hypothesis.strategies as st
import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.test import Client
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    build_schema,
)
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

from apps.postings.models import Posting
from tests.drift import ROOT
from tests.integration.api.conftest import Api, user_with

SCHEMA = build_schema((ROOT / "schema.graphql").read_text())
SECONDS = 12  # of generated requests


@pytest.fixture
def unlimited_rate(settings: Any) -> None:
    settings.RATE_LIMIT_ANONYMOUS = settings.RATE_LIMIT_SIGNED_IN = ""


pytestmark = pytest.mark.usefixtures("corpus", "unlimited_rate")


def sent(body: Any, *, client: Client | None = None, **options: Any) -> tuple[int, dict[str, Any]]:
    """(status, response), which must be GraphQL's JSON without an internal error or a traceback."""
    options = {"content_type": "application/json"} | options
    response = (client or Client(raise_request_exception=False)).post("/graphql", body, **options)
    assert response.status_code in {200, 400, 401, 403, 405, 413, 415}, (response.status_code, body)
    answer = json.loads(response.content)
    for error in answer.get("errors", ()):
        assert error["extensions"]["code"] not in {"INTERNAL", "UNAVAILABLE"}, (error, body)
    assert b"Traceback" not in response.content
    assert b'.py"' not in response.content
    return response.status_code, answer


MALFORMED: list[Any] = [
    " ",
    "{",
    "[]",
    "null",
    "7",
    '"query"',
    "{}",
    '{"query": 5}',
    '{"query": null}',
    '{"query": ["{ __typename }"]}',
    '{"query": "{ __typename }", "variables": [1]}',
    '{"query": "{ __typename }", "variables": "{"}',
    '{"query": "{ __typename }", "variables": 5}',
    '{"query": "{ __typename }", "variables": {"a": ' + "[" * 400 + "]" * 400 + "}}",
    '{"query": "{ __typename }", "operationName": {}}',
    '{"query": "{ __typename }", "operationName": "Absent"}',
    '{"query": "query A { __typename } query B { __typename }"}',
    '{"query": "fragment A on Query { __typename }"}',
    '{"query": "subscription { __typename }"}',
    '{"query": "type Query { a: Int }"}',
    '{"query": "{ ...A } fragment A on Query { ...A }"}',
    '{"query": "{ __typename @include(if: $x) }"}',
    '{"query": "\\u0000"}',
    '{"query": "\\ud800"}',
    b"\xff\xfe\x00",
    "[" * 20_000,
    '{"query": "{ __typename }", "variables": ' + '{"a":' * 9_000 + "1" + "}" * 9_001,
]


@pytest.mark.parametrize("body", MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_request_is_answered_with_the_reason(body: Any) -> None:
    status, answer = sent(body)
    assert status == 400
    assert answer["errors"][0]["message"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{" + "a " * 5_000 + "}", "QUERY_TOO_LARGE"),
        ("{ __typename }" + "#\n" * 200_000, "QUERY_TOO_LARGE"),
        ("{ a " * 300, "QUERY_TOO_DEEP"),
        ("{" + "__typename " * 990 + "}", "QUERY_TOO_MANY_ALIASES"),
        (
            "{" + " ".join(f"a{n}: postings {{ totalCount }}" for n in range(150)) + "}",
            "QUERY_TOO_MANY_ALIASES",
        ),
        ("query(" + "$a: Int " * 990 + ") { __typename }", "QUERY_TOO_LARGE"),
        (
            "{ ...A0 }"
            + "".join(f"fragment A{n} on Query {{ ...A{n + 1} ...A{n + 1} }}" for n in range(24))
            + "fragment A24 on Query { postings(first: 100) { edges { node { title } } } }",
            "QUERY_TOO_MANY_ALIASES",  # two to the power of 24, were they followed
        ),
        (
            "{ __schema { types { " + "fields { type { " * 3 + "fields { name }" + " } }" * 3 + " } } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
    ],
)
def test_a_query_beyond_a_limit_is_refused_quickly(query: str, code: str) -> None:
    started = time.process_time()
    _, answer = sent({"query": query})
    assert answer["errors"][0]["extensions"]["code"] == code
    # Of this process's own time: a bound on work, not a measurement.
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "variables",
    [
        {"filter": {"skills": ["x"] * 5_000}},
        {"skills": ["x"] * 5_000},
        {"skills": [1] * 100_000},
        {"filter": {"skills": ["\x00"], "company": "\x00"}},
        {"filter": {"salaryMin": "1e400"}},
        {"filter": {"salaryMin": "NaN", "experienceYears": "Infinity"}},
        {"filter": {"experienceYears": "99999999999999999999"}},
        {"filter": {"publishedSince": "9999-99-99T00:00:00Z"}},
        {"filter": {"location": "%_\\'\";--" * 50}},
        {"after": "WyJuZXdlc3QiLCIwMDAwLTAwLTAwIiwxXQ"},
        {"after": "WyJuZXdlc3QiLG51bGwsOTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5XQ"},  # a key of 24 digits
        {"after": "WyJuZXdlc3QiLG51bGwsIjFlOSJd"},
        {"first": 2**31},
        {"first": -(2**31)},
        {"filter": 5},
        {"filter": {"unknown": 1}},
    ],
)
def test_extreme_values_cause_no_internal_error(variables: dict[str, Any]) -> None:
    query = """query($filter: PostingFilter, $first: Int, $after: String, $skills: [String!] = ["Python"]) {
        postings(filter: $filter, first: $first, after: $after) { totalCount edges { node { title } } }
        searchPostings(skills: $skills, filter: $filter, first: $first) { totalCount } }"""
    sent({"query": query, "variables": variables})


def test_a_cursor_without_a_number_where_one_belongs_is_refused() -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(["salary", "NaN", 1]).encode()).decode().rstrip("=")
    query = f'{{ postings(orderBy: HIGHEST_SALARY, after: "{cursor}") {{ totalCount }} }}'
    _, answer = sent({"query": query})
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize("rest", [["2026-11-26", "x", 1], [None, "", -1], ["\x00", 5, 1], [{}, [], None], []])
def test_a_cursor_with_values_of_wrong_types_causes_no_internal_error(rest: list[Any]) -> None:
    for value in (None, "2026-11-26T00:00:00+00:00", [], {}, 1e308, "\x00"):
        content = ["newest", value, 1, *rest]
        cursor = base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
        sent({"query": f'{{ postings(after: "{cursor}") {{ totalCount edges {{ cursor }} }} }}'})


def test_a_cookie_with_a_nul_is_ignored(client: Client) -> None:
    client.cookies["sessionid"] = "a" * 20 + "\x00"
    status, answer = sent({"query": "{ postings { totalCount } }"}, client=client)
    assert (status, answer["data"]["postings"]["totalCount"]) == (200, 30)


@pytest.mark.parametrize(
    "headers", [{"Authorization": "Bearer jobrec_unknown"}, {"Cookie": f"sessionid={'a' * 32}"}]
)
def test_a_database_that_fails_while_the_reader_is_identified_is_reported_as_unavailable(
    headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any, **__: Any) -> Any:
        raise OperationalError("connection refused: secret-host")

    monkeypatch.setattr("django.db.models.query.QuerySet.first", gone)
    monkeypatch.setattr("django.db.models.query.QuerySet.get", gone)
    response = Client(raise_request_exception=False).post(
        "/graphql", {"query": "{ postings { totalCount } }"}, content_type="application/json", headers=headers
    )
    assert response.status_code == 503
    [error] = json.loads(response.content)["errors"]
    assert error["extensions"]["code"] == "UNAVAILABLE"
    assert "secret-host" not in response.content.decode()


def test_an_invalid_time_in_the_query_is_refused_by_validation() -> None:
    _, answer = sent({"query": '{ postings(filter: {publishedSince: "9999-12-31T24:00"}) { totalCount } }'})
    assert answer["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


def test_a_statement_that_takes_too_long_is_cancelled_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: Any, **__: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 50; SELECT pg_sleep(20)")

    monkeypatch.setattr("apps.api.records.filtered", slow)
    _, answer = sent({"query": "{ postings { totalCount } }"})
    [error] = answer["errors"]
    assert error["extensions"] == {"code": "TIMED_OUT", "limit": "WEB_STATEMENT_TIMEOUT", "bound": 10.0}


WILD_TEXT = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["\x00", "'; DROP TABLE postings_posting; --", "%", "\\", "1e999", "NaN", "0" * 400, "Python"]
    ),
)
SCALARS: dict[str, Any] = {
    "Int": st.integers(-(2**33), 2**33),
    "Float": st.floats(allow_nan=False, allow_infinity=False) | st.integers(),
    "Boolean": st.booleans(),
    "ID": st.integers(-5, 40).map(str) | WILD_TEXT,
}
ANYTHING = st.none() | st.booleans() | st.integers() | WILD_TEXT | st.lists(st.integers(), max_size=3)


def values(kind: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values of an input type, mostly right, sometimes of another type."""
    if isinstance(kind, GraphQLNonNull):
        return values(kind.of_type, depth)
    if isinstance(kind, GraphQLList):
        return st.lists(values(kind.of_type, depth), max_size=4)
    if isinstance(kind, GraphQLEnumType):
        return st.sampled_from(sorted(kind.values)) | ANYTHING
    if isinstance(kind, GraphQLInputObjectType):
        fields = {name: values(field.type, depth + 1) for name, field in kind.fields.items()}
        return st.fixed_dictionaries({}, optional=fields)
    return (
        st.one_of(SCALARS.get(kind.name, WILD_TEXT), ANYTHING) if depth else SCALARS.get(kind.name, WILD_TEXT)
    )


@st.composite
def requests(draw: Any) -> dict[str, Any]:
    """An operation on random fields of the schema, with random values for all arguments."""
    kind = draw(st.sampled_from(["query", "query", "query", "mutation"]))
    root: Any = SCHEMA.query_type if kind == "query" else SCHEMA.mutation_type
    variables: dict[str, Any] = {}
    declared: list[str] = []

    def selection(parent: GraphQLObjectType, depth: int) -> str:
        names = draw(st.lists(st.sampled_from(sorted(parent.fields)), min_size=1, max_size=3))
        return "{ " + " ".join(field(parent, name, depth) for name in names) + " }"

    def field(parent: GraphQLObjectType, name: str, depth: int) -> str:
        definition = parent.fields[name]
        arguments = []
        for argument, details in definition.args.items():
            required = isinstance(details.type, GraphQLNonNull)
            if required or draw(st.booleans()):
                variable = f"v{len(variables)}"
                declared.append(f"${variable}: {details.type}")
                variables[variable] = draw(values(details.type))
                arguments.append(f"{argument}: ${variable}")
        alias = f"a{len(variables)}{draw(st.integers(0, 9))}: " if draw(st.booleans()) else ""
        kind: Any = definition.type
        named = GraphQLScalarType | GraphQLEnumType | GraphQLObjectType | GraphQLInterfaceType
        while not isinstance(kind, named):
            kind = kind.of_type
        inside = "{ __typename id }" if isinstance(kind, GraphQLInterfaceType) else ""
        if isinstance(kind, GraphQLObjectType):
            inside = selection(kind, depth + 1) if depth < 8 else "{ __typename }"
        given_arguments = f"({', '.join(arguments)})" if arguments else ""
        return f"{alias}{name}{given_arguments} {inside}"

    body = selection(root, 0)
    head = f"{kind}({' '.join(declared)})" if declared else kind
    return {"query": f"{head} {body}", "variables": variables}


def test_generated_requests_cause_no_internal_error(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setattr("apps.recommendations.profiles.query_vector", lambda *_: [1.0, 0.0, 0.0, 0.0])
    operator = user_with(
        "view_candidate",
        "change_candidate",
        "change_posting",
        "view_embeddingrun",
        "add_embeddingrun",
        "view_deadletter",
    )
    clients = [
        Client(raise_request_exception=False),
        Api(operator).client,
        Api(User.objects.create_superuser("all-powerful")).client,
    ]
    longest = 0.0

    def statement(execute: Any, *arguments: Any) -> Any:
        nonlocal longest
        started = time.monotonic()
        try:
            return execute(*arguments)
        finally:
            longest = max(longest, time.monotonic() - started)

    until = time.monotonic() + SECONDS
    answered = [0, 0]

    @hypothesis_settings(
        max_examples=400,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        print_blob=True,
    )
    @given(requests(), st.integers(0, len(clients) - 1))
    def ask(content: dict[str, Any], who: int) -> None:
        if time.monotonic() > until and min(answered) > 5:  # a busy machine takes longer
            return
        _, answer = sent(content, client=clients[who])
        answered["data" in answer] += 1

    with connection.execute_wrapper(statement):
        ask()
    assert longest < settings.WEB_STATEMENT_TIMEOUT
    # The generator reaches execution and refusal alike, or it would prove nothing.
    assert min(answered) > 5, answered
    assert Posting.objects.count() >= 30
