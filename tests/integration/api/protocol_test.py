"""GraphQL over HTTP: content types, chunked bodies, persisted queries, unreadable credentials, logins."""

import json
from io import BytesIO
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.test import Client

from jobrec_site.request import Request

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_cache")]

GRAPHQL_JSON = "application/graphql-response+json"


def post(content: Any, **headers: str) -> Any:
    """The response to a POST of JSON."""
    return Client(headers=headers).post("/graphql", json.dumps(content), content_type="application/json")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (GRAPHQL_JSON, GRAPHQL_JSON),
        (f"{GRAPHQL_JSON}; charset=utf-8, application/json; charset=utf-8", GRAPHQL_JSON),
        (f"{GRAPHQL_JSON};q=0.5, application/json", "application/json"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
    ],
)
def test_response_has_the_content_type_that_the_client_prefers(accept: str, expected: str) -> None:
    for query, status in (
        ("{nope}", 400),
        ("{", 400),
        ("", 400),
        ("{__typename}", 200),
        ("{__typename}", 200),
    ):
        response = post({"query": query}, accept=accept)
        assert (response.status_code, response["Content-Type"].partition(";")[0]) == (status, expected)
        assert ("data" in json.loads(response.content)) == (status == 200)


def test_error_of_a_field_leaves_the_status_200_since_there_is_data() -> None:
    response = post({"query": "{ embeddingRuns { totalCount } }"}, accept=GRAPHQL_JSON)
    answer = json.loads(response.content)
    assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert (response.status_code, "data" in answer) == (200, True)


@pytest.mark.parametrize("method", ["get", "post"])
def test_persisted_query_is_refused_in_the_words_that_clients_expect(method: str) -> None:
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}
    if method == "post":
        response = post({"extensions": extensions})
    else:
        response = Client().get("/graphql", {"extensions": json.dumps(extensions)})
    [error] = json.loads(response.content)["errors"]
    assert (response.status_code, error["message"]) == (400, "PersistedQueryNotSupported")
    assert error["extensions"]["code"] == "PERSISTED_QUERY_NOT_SUPPORTED"
    # With its query a request is answered, hash or not.
    assert post({"query": "{__typename}", "extensions": extensions}).status_code == 200


@pytest.mark.parametrize("header", ["Bearer \u00e9", "", " "])  # the web server empties what is not ASCII
def test_unreadable_credentials_are_unauthenticated(header: str) -> None:
    response = post({"query": "{__typename}"}, authorization=header)
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")


def chunked(body: bytes) -> tuple[str, bytes]:
    """Status and body of the response to a request whose body comes in chunks, without Content-Length."""
    handler = WSGIHandler()
    handler.request_class = Request
    status: list[str] = []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/graphql",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost",
        "CONTENT_TYPE": "application/json",
        "HTTP_TRANSFER_ENCODING": "chunked",
        "wsgi.input": BytesIO(body),
        "wsgi.url_scheme": "http",
    }
    start: Any = lambda given, *_: status.append(given)  # noqa: E731
    response = handler(environ, start)
    return status[0], b"".join(response)


def test_chunked_body_is_read(settings: Any) -> None:
    status, content = chunked(b'{"query":"{__typename}"}')
    assert (status, json.loads(content)) == ("200 OK", {"data": {"__typename": "Query"}})


def test_chunked_body_without_end_is_refused_after_the_bound(settings: Any) -> None:
    status, content = chunked(b" " * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE * 2))
    assert status.startswith("413")
    assert json.loads(content)["errors"][0]["extensions"]["code"] == "BODY_TOO_LARGE"


@pytest.mark.parametrize("address", ["//evil.test", "https://evil.test/", "javascript:alert(1)"])
def test_login_with_a_foreign_address_lands_in_the_admin(address: str, django_user_model: Any) -> None:
    django_user_model.objects.create_superuser("chief", password="pa55-of-the-chief")
    credentials = {"username": "chief", "password": "pa55-of-the-chief", "next": address}
    response = Client().post("/admin/login/", credentials, query_params={"next": address})
    assert (response.status_code, response["Location"]) == (302, "/admin/")
