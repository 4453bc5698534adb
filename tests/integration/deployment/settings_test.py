"""The production settings pass Django's own deployment check."""

import os
import re
import subprocess
import sys

import pytest

from jobrec_site.environment import Variables
from jobrec_site.local.programs import ROOT

WRONG = {
    "WEB_PORT=eighty": "a whole number is needed",
    "EMBED_DEADLINE=2,5": "a number is needed",
    "EMBED_BATCH_TEXTS=0": "at least 1",
    "EMBEDDING_BIND=localhost": "host:port",
    "HTTPS=1  # behind a proxy": "1 or 0 is needed",
    "DATABASE_URL=mysql://jobrec:secret@db/jobrec": "postgresql://",
    "REDIS_URL=localhost:6379": "redis://",
    "LOG_LEVEL=LOUD": "WARNING",
    "RATE_LIMIT_ANONYMOUS=many": "600/minute",
}


def check(**variables: str) -> "subprocess.CompletedProcess[str]":
    inherited = {
        name: value for name, value in os.environ.items() if not re.match("DJANGO|DATABASE|REDIS|DEBUG", name)
    }
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env=inherited | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_deployment_check_passes_with_https() -> None:
    secret = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    done = check(HTTPS="1", SECRET_KEY=secret, ALLOWED_HOSTS="jobs.example.org")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no issues" in done.stdout


def test_deployment_check_fails_without_https() -> None:
    done = check(HTTPS="0")
    assert done.returncode == 1
    assert "security.W004" in done.stderr  # no HSTS


@pytest.mark.parametrize("wrong", WRONG)
def test_invalid_value_is_reported_with_its_variable_and_the_remedy(wrong: str) -> None:
    name, _, value = wrong.partition("=")
    done = check(**{name: value})
    assert done.returncode == 1
    assert done.stderr.startswith(f"The settings are wrong: {name}")
    assert WRONG[wrong] in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


def test_values_are_read_without_interpolation(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"KEY": "$HOME#1", "LIMIT": " ", "FLAG": "Yes"}.items():
        monkeypatch.setenv(name, value)
    env = Variables()
    assert env("KEY", default="") == "$HOME#1"
    assert env.int("LIMIT", default=7) == 7
    assert env.bool("FLAG", default=False) is True
