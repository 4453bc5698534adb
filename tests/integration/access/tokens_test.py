"""Bearer tokens: created and revoked by command, used in requests."""

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


def post(secret: str, content: Any = RUNS) -> Any:
    return Client(enforce_csrf_checks=True).post(
        "/graphql", content, content_type="application/json", headers={"Authorization": f"Bearer {secret}"}
    )


def code_of(response: Any) -> str:
    return response.json()["errors"][0]["extensions"]["code"]


@pytest.fixture
def operator() -> User:
    return user_with("view_embeddingrun")


def test_tokens_command_creates_lists_and_revokes_a_token(operator: User) -> None:
    out = StringIO()
    call_command("tokens", "create", operator.username, "--name=nightly", stdout=out, stderr=StringIO())
    secret = out.getvalue().strip()
    assert post(secret).json() == {"data": {"embeddingRuns": {"totalCount": 0}}}
    token = AccessToken.objects.get()
    assert bytes(token.digest) != secret.encode()
    assert secret not in str(vars(token))
    assert token.last_used_at is not None

    out = StringIO()
    call_command("tokens", "list", stdout=out)
    assert f"{token.pk}  valid    {operator.username}  nightly ({secret[:12]}…)" in out.getvalue()
    call_command("tokens", "revoke", str(token.pk), stdout=out)
    response = post(secret)
    assert (response.status_code, code_of(response)) == (401, "UNAUTHENTICATED")
    assert response["WWW-Authenticate"] == "Bearer"


def test_tokens_command_rejects_invalid_arguments(operator: User) -> None:
    for arguments, message in (
        (["create", "nobody", "--name=x"], "Unknown user 'nobody'"),
        (["create", operator.username, "--name=x", "--days=-1"], "--days is -1"),
        (["create", operator.username, "--name", " "], "--name has 0 characters: 1 to 100"),
        (["create", operator.username, "--name", "x" * 300], "--name has 300 characters"),
        (["revoke", "12345"], "Unknown token 12345"),
    ):
        with pytest.raises(CommandError, match=message):
            call_command("tokens", *arguments)
    out = StringIO()
    call_command("tokens", "list", stdout=out)
    assert out.getvalue() == "No tokens\n"


def test_token_grants_the_permissions_of_its_user_and_no_more(operator: User) -> None:
    _, secret = create_token(operator, name="x")
    assert code_of(post(secret, {"query": "{ candidates { totalCount } }"})) == "FORBIDDEN"
    # A response that was cached for anonymous readers is not used, nor the other way round.
    assert post(secret, {"query": "{ postings { totalCount } }"}).json()["data"]["postings"] == {
        "totalCount": 0
    }


def test_request_is_unauthenticated_when_the_token_is_invalid(operator: User) -> None:
    past = timezone.now() - timedelta(seconds=1)
    expired, secret = create_token(operator, name="x", expires_at=past)
    assert expired.state == "expired"
    assert code_of(post(secret)) == "UNAUTHENTICATED"
    assert code_of(post("jobrec_" + "x" * 40)) == "UNAUTHENTICATED"
    assert code_of(post("x" * 5_000)) == "UNAUTHENTICATED"
    token, secret = create_token(operator, name="y")
    assert post(secret).status_code == 200
    User.objects.filter(pk=operator.pk).update(is_active=False)
    assert code_of(post(secret)) == "UNAUTHENTICATED"
    assert (revoke_token(token), revoke_token(token)) == (True, False)


def test_last_use_of_a_token_is_recorded_once_a_minute(
    operator: User, django_assert_num_queries: Any
) -> None:
    token, secret = create_token(operator, name="x")
    post(secret)
    first = AccessToken.objects.get(pk=token.pk).last_used_at
    post(secret)
    assert AccessToken.objects.get(pk=token.pk).last_used_at == first
    AccessToken.objects.filter(pk=token.pk).update(last_used_at=timezone.now() - timedelta(minutes=2))
    post(secret)
    recorded = AccessToken.objects.get(pk=token.pk).last_used_at
    assert recorded is not None
    assert recorded > timezone.now() - timedelta(minutes=1)
