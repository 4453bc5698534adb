"""Invalidation after a run: one sidecar is called, and the web processes of two servers respond freshly."""

import json
from pathlib import Path

import grpc
import pytest

from apps.rpc.client import is_serving
from jobrec_site.local.preflight import free_ports
from jobrec_site.local.programs import Program, web_command
from proto import invalidation_pb2, invalidation_pb2_grpc
from tests.precomputed import precomputed_server
from tests.stack import Stack, wait_until

SIMILAR = "query($id: ID!) { similarPostings(postingId: $id, first: 100) { edges { node { externalId } } } }"
ROUNDS = 25  # requests to each server, so that each of its two processes gets some


@pytest.fixture(scope="module")
def two_servers(servers: Path, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("stack")
    # Cached responses outlive the test, so that only an invalidation makes them fresh.
    stack = Stack(servers, folder, CACHE_L1_TTL="3600", CACHE_L2_TTL="3600")
    other = free_ports()
    second_sidecar = Program(
        "sidecar-2",
        [*stack.programs["sidecar"].arguments, "--bind", f"127.0.0.1:{other.invalidation}"],
    )
    second_web = Program("web-2", web_command(other.web, workers=2))
    try:
        stack.create(second_sidecar, second_web)
        stack.import_sample("postings", 60)
        stack.start("sidecar", "write-worker", "web", "sidecar-2", "web-2")
        stack.wait_for_web(other.web)
        wait_until(lambda: is_serving(f"127.0.0.1:{other.invalidation}"), "the second sidecar serves")
        run(stack)
        stack.notes["web_ports"] = [stack.ports.web, other.web]
        stack.notes["second_sidecar"] = other.invalidation
        yield stack
    finally:
        stack.close()


def run(stack: Stack) -> str:
    """Embed pending postings, with vectors from a server that needs no model."""
    with precomputed_server() as elsewhere:
        elsewhere.gate.release(1000)
        return stack.manage("pull", elsewhere.address, "--kind=posting")


def listed(stack: Stack, port: int) -> set[str]:
    data = stack.graphql(SIMILAR, port=port, id="1")
    return {edge["node"]["externalId"] for edge in data["similarPostings"]["edges"]}


def everywhere(stack: Stack) -> list[set[str]]:
    return [listed(stack, port) for _ in range(ROUNDS) for port in stack.notes["web_ports"]]


def test_an_invalidation_reaches_all_processes_of_both_servers(two_servers: Stack) -> None:
    request = invalidation_pb2.InvalidateRequest(namespaces=["skills"], reason="test")
    with grpc.insecure_channel(f"127.0.0.1:{two_servers.notes['second_sidecar']}") as channel:
        stub = invalidation_pb2_grpc.CacheInvalidationStub(channel)

        def reached() -> int:
            everywhere(two_servers)  # a process subscribes at its first lookup
            return int(stub.Invalidate(request, timeout=30).processes_reached)

        wait_until(lambda: reached() == 4, "all four processes listen")


def test_a_change_in_plain_sql_is_visible_everywhere_after_the_next_run(two_servers: Stack) -> None:
    before = everywhere(two_servers)
    assert all("sample-p-0000007" in each for each in before)
    # Plain SQL invalidates no cache.
    two_servers.sql("UPDATE postings_posting SET status = 'closed' WHERE external_id = 'sample-p-0000007'")
    assert all("sample-p-0000007" in each for each in everywhere(two_servers))

    # The last task of the run calls only the sidecar of the first server.
    two_servers.sql("UPDATE postings_posting SET title = 'Fresh' WHERE external_id = 'sample-p-0000009'")
    assert "1 rows written" in run(two_servers)
    [record] = two_servers.sql("SELECT * FROM embeddings_invalidation ORDER BY id DESC LIMIT 1")
    assert record["acknowledged_by"] == [f"127.0.0.1:{two_servers.ports.invalidation}"]
    after = everywhere(two_servers)
    assert all("sample-p-0000007" not in each for each in after), json.dumps(
        [sorted(each) for each in after[:4]]
    )


def test_the_sidecar_reports_invalid_calls(two_servers: Stack) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{two_servers.ports.invalidation}") as channel:
        stub = invalidation_pb2_grpc.CacheInvalidationStub(channel)
        for namespaces, message in (
            ([], "name at least one"),
            (["jobs"], "'jobs' is unknown, use candidates, postings, skills"),
        ):
            with pytest.raises(grpc.RpcError, match=message) as error:
                stub.Invalidate(invalidation_pb2.InvalidateRequest(namespaces=namespaces), timeout=5)
            assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_popular_responses_are_warm_when_a_run_invalidates(two_servers: Stack) -> None:
    two_servers.start("cache-warmer")
    everywhere(two_servers)
    wait_until(lambda: "responses are warm" in two_servers.log("cache-warmer"), "the requests were counted")
    two_servers.sql("UPDATE postings_posting SET status = 'closed' WHERE external_id = 'sample-p-0000008'")
    two_servers.sql("UPDATE postings_posting SET title = 'Fresher' WHERE external_id = 'sample-p-0000009'")
    run(two_servers)
    [record] = two_servers.sql("SELECT * FROM embeddings_invalidation ORDER BY id DESC LIMIT 1")
    name = f"run-{record['run_id']}-{record['id']}"
    assert f"1 of 1 responses for {name} are warm" in two_servers.log("cache-warmer")
    assert all("sample-p-0000008" not in each for each in everywhere(two_servers))
