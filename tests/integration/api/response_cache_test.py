"""The response cache: responses to anonymous readers, cached as bytes."""

import threading
from typing import Any

import graphql
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.api import execution
from apps.api.cache import responses
from apps.caching import generations, tags
from apps.postings.models import Posting
from apps.rpc.errors import TransientRpcError
from tests.integration.api.conftest import Api, key, user_with
from tests.stack import wait_until

pytestmark = pytest.mark.usefixtures("corpus")

QUERY = "query($first: Int) { postings(first: $first) { totalCount edges { node { externalId title } } } }"


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Names of the operations that GraphQL executed."""
    names: list[Any] = []
    bare = graphql.execute_sync

    def execute(*arguments: Any, **options: Any) -> Any:
        names.append(options["operation_name"])
        return bare(*arguments, **options)

    monkeypatch.setattr(execution, "execute_sync", execute)
    return names


def post(content: Any, **options: Any) -> Any:
    return Client().post("/graphql", content, content_type="application/json", **options)


def test_a_hit_executes_nothing_and_reads_no_database(executed: list[Any]) -> None:
    first = post({"query": QUERY, "variables": {"first": 3}})
    with CaptureQueriesContext(connection) as statements:
        again = post({"variables": {"first": 3}, "query": QUERY})
        by_get = Client().get("/graphql", {"query": QUERY, "variables": '{"first": 3}'})
    assert again.content == by_get.content == first.content
    assert (len(executed), len(statements)) == (1, 0)
    post({"query": QUERY, "variables": {"first": 4}})
    post({"query": "query One { __typename } query Other { __typename }", "operationName": "Other"})
    assert len(executed) == 3


def test_the_second_level_serves_another_process(executed: list[Any]) -> None:
    first = post({"query": QUERY})
    responses.clear_l1()
    again = post({"query": QUERY})
    assert (again.content, again["ETag"]) == (first.content, first["ETag"])
    assert len(executed) == 1


def test_a_get_with_the_known_etag_is_answered_with_304_until_the_rows_change() -> None:
    first = Client().get("/graphql", {"query": QUERY})
    assert first["Cache-Control"] == "public, no-cache"
    again = Client().get("/graphql", {"query": QUERY}, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    for tags_ in (f'"another", W/{first["ETag"]}', "*"):
        again = Client().get("/graphql", {"query": QUERY}, headers={"If-None-Match": tags_})
        assert again.status_code == 304
    Posting.objects.filter(external_id="p27").update(title="Other")
    generations.increment_tags(tags.changed(["postings"]))
    wait_until(
        lambda: (
            Client().get("/graphql", {"query": QUERY}, headers={"If-None-Match": first["ETag"]}).status_code
            == 200
        ),
        "another answer, with another tag",
    )


def test_a_response_to_a_profile_is_cached_here_and_never_by_proxies(
    executed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.recommendations.profiles.query_vector", lambda *_: [1.0, 0.0, 0.0, 0.0])
    query = '{ recommendedPostingsForProfile(profile: {text: "a nurse in Oslo"}) { totalCount } }'
    for _ in range(2):
        response = Client().get("/graphql", {"query": query})
        assert (response["Cache-Control"], response.has_header("ETag")) == ("private, no-store", False)
        assert response["Content-Length"] == str(len(response.content))
    assert len(executed) == 1


def test_a_mutation_is_seen_by_the_next_request(
    recruiter: Api, django_capture_on_commit_callbacks: Any
) -> None:
    query = "query($id: ID!) { posting(id: $id) { title isOpen } }"
    ask = {"query": query, "variables": {"id": key("p4")}}
    assert post(ask).json()["data"]["posting"]["isOpen"] is True
    with django_capture_on_commit_callbacks(execute=True):
        recruiter.data("mutation($id: ID!) { closePosting(id: $id) { posting { id } } }", id=key("p4"))
    assert post(ask).json()["data"]["posting"]["isOpen"] is False


def test_a_signed_in_reader_is_never_answered_from_the_cache(executed: list[Any]) -> None:
    content = {"query": QUERY}
    post(content)
    api = Api(user_with())
    for _ in range(2):
        response = api.client.post("/graphql", content, content_type="application/json")
        assert "ETag" not in response
        assert response["Cache-Control"] == "private, no-store"
    assert len(executed) == 3
    # A cookie that names nobody, such as that of an analytics script, does not matter.
    visitor = Client()
    visitor.cookies["visited"] = "1"
    assert "ETag" in visitor.post("/graphql", content, content_type="application/json")
    assert len(executed) == 3


def test_errors_and_mutations_are_not_cached(executed: list[Any]) -> None:
    for content in (
        {"query": "{ postings(first: 0) { totalCount } }"},
        {"query": '{ a: __typename posting(id: "x") { id } }'},
        {"query": "{ candidates { totalCount } }"},
        {
            "query": "mutation { recordInteraction(candidateId: 1, postingId: 1, action: SAVED) "
            "{ interaction { at } } }"
        },
    ):
        executed.clear()
        for _ in range(2):
            response = post(content)
            assert response.json()["errors"]
            assert "ETag" not in response
        assert len(executed) == 2


def test_degraded_responses_are_not_cached(executed: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    content = {"query": '{ searchPostings(text: "knows Postgres") { degraded } }'}

    def gone(*_: Any, **__: Any) -> None:
        raise TransientRpcError("embedding server is gone")

    with monkeypatch.context() as patched:
        patched.setattr("apps.recommendations.profiles.query_vector", gone)
        for _ in range(2):
            assert post(content).json()["data"]["searchPostings"]["degraded"] is True
        # Nor are later pages, which come from the stored list.
        paged = """query($after: String) { searchPostings(text: "knows Postgres", first: 5, after: $after) {
            degraded pageInfo { endCursor } } }"""
        after = post({"query": paged}).json()["data"]["searchPostings"]["pageInfo"]["endCursor"]
        for _ in range(2):
            response = post({"query": paged, "variables": {"after": after}})
            assert response.json()["data"]["searchPostings"]["degraded"] is True
            assert "ETag" not in response
    assert len(executed) == 5
    executed.clear()
    monkeypatch.setattr("apps.recommendations.profiles.query_vector", lambda *_: [1.0, 0.0, 0.0, 0.0])
    for _ in range(3):
        assert post(content).json()["data"]["searchPostings"]["degraded"] is False
    assert len(executed) == 1


def test_simultaneous_equal_requests_are_executed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    executed: list[Any] = []

    def slow(*arguments: Any, **options: Any) -> Any:
        assert release.wait(10)
        executed.append(options["operation_name"])
        return graphql.execute_sync(*arguments, **options)

    monkeypatch.setattr(execution, "execute_sync", slow)
    content = {"query": "{ __typename }"}
    answers: list[bytes] = []
    threads = [threading.Thread(target=lambda: answers.append(post(content).content)) for _ in range(6)]
    for thread in threads:
        thread.start()
    release.set()  # a later request finds the response or waits for it: one execution in both cases
    for thread in threads:
        thread.join()
    assert answers == [b'{"data":{"__typename":"Query"}}'] * 6
    assert len(executed) == 1
