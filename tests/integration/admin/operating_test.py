"""Actions of operators in the admin: runs, dead letters, models and tokens."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from apps.access.models import AccessToken
from apps.access.services import user_of_token
from apps.embeddings.models import DeadLetter, EmbeddingModel, EmbeddingRun
from apps.embeddings.planning import write_plan
from tests.integration.admin.conftest import fill, member_of

LETTERS = reverse("admin:embeddings_deadletter_changelist")
TOKENS = reverse("admin:access_accesstoken_changelist")


def messages_of(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


@pytest.fixture
def operator(administrator: Client) -> Client:
    fill(2)
    return member_of("Operators")


def act(client: Client, url: str, action: str, *keys: int) -> list[str]:
    return messages_of(client.post(url, {"action": action, "_selected_action": keys}, follow=True))


def test_actions_discard_and_replay_dead_letters(operator: Client) -> None:
    [letter] = DeadLetter.objects.open()
    assert act(operator, LETTERS, "discard", letter.pk) == ["1 dead letters are discarded."]
    letter.refresh_from_db()
    assert letter.state == "discarded"
    [message] = act(operator, LETTERS, "replay", letter.pk)
    letter.refresh_from_db()
    run = EmbeddingRun.objects.unfinished().get()
    assert (message, letter.state) == (f"1 rows are tried again by run {run.pk}.", "replayed")


def test_buttons_pause_resume_and_cancel_a_run(operator: Client) -> None:
    model = EmbeddingModel.objects.filled().exclude(state="active").first()
    assert model is not None
    run = write_plan(EmbeddingRun.objects.create(kind="posting", model=model).pk)

    def steer(verb: str) -> list[str]:
        url = reverse(f"admin:embeddings_embeddingrun_{verb}", args=[run.pk])
        return messages_of(operator.get(url, follow=True))

    for verb, message, state in (
        ("pause", "It is paused.", "paused"),
        ("pause", "Only a running run can be paused.", "paused"),
        ("resume", "It is resumed.", "running"),
        ("cancel", "It is cancelled. Written vectors stay, other rows are pending again.", "cancelled"),
        ("cancel", "It has ended.", "cancelled"),
    ):
        assert steer(verb) == [f"Run {run.pk}: {message}"]
        run.refresh_from_db()
        assert run.state == state


def test_model_without_vectors_is_not_activated(operator: Client) -> None:
    model = EmbeddingModel.objects.filled().exclude(state="active").first()
    assert model is not None
    url = reverse("admin:embeddings_embeddingmodel_activate", args=[model.pk])
    [message] = messages_of(operator.get(url, follow=True))
    assert ": 2 of 2 postings have no current vector" in message
    url = reverse("admin:embeddings_embeddingmodel_rollback")
    [message] = messages_of(operator.get(url, follow=True))
    assert "Cannot roll back: no model that answered before" in message


def test_recruiters_cannot_operate_runs_or_dead_letters(operator: Client) -> None:
    recruiter = member_of("Recruiters")
    run = EmbeddingRun.objects.first()
    assert run is not None
    assert recruiter.post(LETTERS, {"action": "replay", "_selected_action": [1]}).status_code == 403
    url = reverse("admin:embeddings_embeddingrun_cancel", args=[run.pk])
    assert recruiter.get(url).status_code in {302, 403}
    run.refresh_from_db()
    assert run.state == "finished"


def test_token_is_shown_once_and_can_be_revoked(administrator: Client) -> None:
    robot = User.objects.create_user("robot")
    response = administrator.post(
        reverse("admin:access_accesstoken_add"),
        {"user": robot.pk, "name": "nightly", "expires_at_0": "", "expires_at_1": ""},
        follow=True,
    )
    [secret] = re.findall(r"<code>(jobrec_\S+)</code>", response.content.decode())
    assert user_of_token(secret) == robot
    token = AccessToken.objects.get()
    assert secret not in administrator.get(TOKENS).content.decode()
    assert act(administrator, TOKENS, "revoke", token.pk) == ["1 tokens revoked"]
    assert user_of_token(secret) is None
