"""Bearer tokens: from the command to a request, and to their end."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from apps.access.models import AccessToken
from apps.access.services import create_token, revoke_token
from tests.integration.api.conftest import user_with

pytestmark = pytest.mark.usefixtures("db", "clean_cache")

RUNS = {"query": "{ embeddingRuns { totalCount } }"}


def ask(secret: str, content: Any = RUNS) -> Any:
    return Client(enforce_csrf_checks=True).post(
        "/graphql", content, content_type="application/json", headers={"Authorization": f"Bearer {secret}"}
    )


def code_of(response: Any) -> str:
    return response.json()["errors"][0]["extensions"]["code"]


@pytest.fixture
def operator() -> User:
    return user_with("view_embeddingrun")


def test_the_command_makes_lists_and_revokes(operator: User) -> None:
    out = StringIO()
    call_command("tokens", "create", operator.username, "--name=nightly", stdout=out, stderr=StringIO())
    secret = out.getvalue().strip()
    assert ask(secret).json() == {"data": {"embeddingRuns": {"totalCount": 0}}}
    token = AccessToken.objects.get()
    assert bytes(token.digest) != secret.encode()
    assert secret not in str(vars(token))
    assert token.last_used_at is not None

    out = StringIO()
    call_command("tokens", "list", stdout=out)
    assert f"{token.pk}  valid    {operator.username}  nightly ({secret[:12]}…)" in out.getvalue()
    call_command("tokens", "revoke", str(token.pk), stdout=out)
    response = ask(secret)
    assert (response.status_code, code_of(response)) == (401, "UNAUTHENTICATED")
    assert response["WWW-Authenticate"] == "Bearer"


def test_what_the_command_refuses(operator: User) -> None:
    for arguments, message in (
        (["create", "nobody", "--name=x"], "there is no user 'nobody'"),
        (["create", operator.username, "--name=x", "--days=-1"], "--days: -1 is not between"),
        (["create", operator.username, "--name", " "], "--name: 1 to 100 characters are needed, not 0"),
        (["create", operator.username, "--name", "x" * 300], "--name: 1 to 100 .*, not 300"),
        (["revoke", "12345"], "there is no token 12345"),
    ):
        with pytest.raises(CommandError, match=message):
            call_command("tokens", *arguments)
    out = StringIO()
    call_command("tokens", "list", stdout=out)
    assert out.getvalue() == "no tokens\n"


def test_a_token_gives_what_its_user_may_and_no_more(operator: User) -> None:
    _, secret = create_token(operator, name="x")
    assert code_of(ask(secret, {"query": "{ candidates { totalCount } }"})) == "FORBIDDEN"
    # An anonymous reader's cached answer is none of the token's business, nor the other way round.
    assert ask(secret, {"query": "{ postings { totalCount } }"}).json()["data"]["postings"] == {
        "totalCount": 0
    }


def test_tokens_that_are_not_valid(operator: User) -> None:
    past = timezone.now() - timedelta(seconds=1)
    expired, secret = create_token(operator, name="x", expires_at=past)
    assert expired.state == "expired"
    assert code_of(ask(secret)) == "UNAUTHENTICATED"
    assert code_of(ask("jobrec_" + "x" * 40)) == "UNAUTHENTICATED"
    assert code_of(ask("x" * 5_000)) == "UNAUTHENTICATED"
    token, secret = create_token(operator, name="y")
    assert ask(secret).status_code == 200
    User.objects.filter(pk=operator.pk).update(is_active=False)
    assert code_of(ask(secret)) == "UNAUTHENTICATED"
    assert (revoke_token(token), revoke_token(token)) == (True, False)


def test_use_is_noted_once_a_minute(operator: User, django_assert_num_queries: Any) -> None:
    token, secret = create_token(operator, name="x")
    ask(secret)
    first = AccessToken.objects.get(pk=token.pk).last_used_at
    ask(secret)
    assert AccessToken.objects.get(pk=token.pk).last_used_at == first
    AccessToken.objects.filter(pk=token.pk).update(last_used_at=timezone.now() - timedelta(minutes=2))
    ask(secret)
    noted = AccessToken.objects.get(pk=token.pk).last_used_at
    assert noted is not None
    assert noted > timezone.now() - timedelta(minutes=1)
