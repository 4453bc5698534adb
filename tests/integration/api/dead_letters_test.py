"""Dead letters and the control of runs over GraphQL."""

from typing import Any

import pytest

from apps.embeddings import planning
from apps.embeddings.models import DeadLetter, EmbeddingModel, EmbeddingRun
from tests.integration.api.conftest import Api, user_with

pytestmark = pytest.mark.django_db

LETTERS = """query($filter: DeadLetterFilter, $first: Int, $after: String) {
    deadLetters(filter: $filter, first: $first, after: $after) {
        totalCount pageInfo { endCursor hasNextPage }
        edges { node { rowId state step error attempts model } } } }"""


@pytest.fixture
def operator(db: None) -> Api:
    return Api(user_with("view_deadletter", "change_deadletter", "view_embeddingrun", "change_embeddingrun"))


@pytest.fixture
def letters(corpus: EmbeddingModel) -> list[DeadLetter]:
    run = EmbeddingRun.objects.create(kind="posting", model=corpus, state="finished", finishes=1, rows=30)
    return [
        DeadLetter.objects.create(
            kind="posting",
            row_id=number,
            model=corpus,
            run=run,
            content_hash=b"x",
            step="encode",
            error=error,
        )
        for number, error in enumerate(["ValueError: no", "ValueError: no", "killed by SIGSEGV"])
    ]


def test_dead_letters_are_listed_filtered_and_paged(operator: Api, letters: list[DeadLetter]) -> None:
    first = operator.data(LETTERS, first=2)["deadLetters"]
    assert (first["totalCount"], first["pageInfo"]["hasNextPage"]) == (3, True)
    rest = operator.data(LETTERS, first=2, after=first["pageInfo"]["endCursor"])["deadLetters"]
    rows = [edge["node"]["rowId"] for page in (first, rest) for edge in page["edges"]]
    assert rows == ["2", "1", "0"]
    assert first["edges"][0]["node"] == {
        "rowId": "2",
        "state": "OPEN",
        "step": "encode",
        "error": "killed by SIGSEGV",
        "attempts": 1,
        "model": "test@main-t1-w8",
    }
    found = operator.data(LETTERS, filter={"error": "sigsegv"})["deadLetters"]
    assert found["totalCount"] == 1
    assert operator.error(LETTERS, filter={"error": "\x00"})[1] == "filter.error: contains a NUL character"
    message = operator.error(LETTERS, filter={"rowId": "UG9zdGluZzox"})[1]
    assert message == "filter.rowId: 'UG9zdGluZzox' is not a primary key, such as 17"
    assert operator.data(LETTERS, filter={"state": "DISCARDED"})["deadLetters"]["totalCount"] == 0


def test_replaying_starts_a_run_and_discarding_takes_the_other_dead_letters(
    operator: Api, letters: list[DeadLetter], no_broker: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    replay = """mutation($filter: DeadLetterFilter!) {
        replayDeadLetters(filter: $filter) { rows retired runs { state rows } } }"""
    with django_capture_on_commit_callbacks(execute=True):
        done = operator.data(replay, filter={"ids": [str(letters[0].pk)]})["replayDeadLetters"]
    assert done == {"rows": 1, "retired": 0, "runs": [{"state": "RUNNING", "rows": 30}]}
    assert [name for name, _ in no_broker] == ["workers.tasks.plan_run"]
    discard = "mutation { discardDeadLetters(filter: {}) { letters } }"
    assert operator.data(discard)["discardDeadLetters"] == {"letters": 2}
    assert sorted(DeadLetter.objects.values_list("state", flat=True)) == [
        "discarded",
        "discarded",
        "replayed",
    ]


def test_a_run_is_paused_resumed_and_cancelled_unless_its_state_forbids_it(
    operator: Api, corpus: EmbeddingModel
) -> None:
    run = EmbeddingRun.objects.create(kind="posting", model=corpus)
    planning.write_plan(run.pk)
    change = "mutation {{ {0}EmbeddingRun(id: {1}) {{ run {{ state pausedBecause }} }} }}"
    paused = operator.data(change.format("pause", run.pk))["pauseEmbeddingRun"]["run"]
    assert (paused["state"], paused["pausedBecause"][:15]) == ("PAUSED", "paused by user-")
    code, message = operator.error(change.format("pause", run.pk))
    assert (code, message) == ("BAD_USER_INPUT", f"{run} is paused: only a running run can be paused")
    resumed = operator.data(change.format("resume", run.pk))["resumeEmbeddingRun"]["run"]
    assert resumed == {"state": "RUNNING", "pausedBecause": ""}
    assert operator.data(change.format("cancel", run.pk))["cancelEmbeddingRun"]["run"]["state"] == "CANCELLED"
    assert operator.error(change.format("cancel", 99999)) == ("NOT_FOUND", "there is no run 99999")


def test_dead_letters_and_runs_without_a_permission_are_refused(
    recruiter: Api, letters: list[DeadLetter]
) -> None:
    for query in (
        "{ deadLetters { totalCount } }",
        "mutation { replayDeadLetters(filter: {}) { rows } }",
        "mutation { discardDeadLetters(filter: {}) { letters } }",
        "mutation { cancelEmbeddingRun(id: 1) { run { id } } }",
    ):
        assert recruiter.error(query)[0] == "FORBIDDEN"
    assert DeadLetter.objects.open().count() == 3
