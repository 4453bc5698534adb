"""The production settings pass Django's own deployment check."""

import os
import re
import subprocess
import sys

from jobrec_site.local.programs import ROOT


def check(**variables: str) -> "subprocess.CompletedProcess[str]":
    kept = {
        name: value for name, value in os.environ.items() if not re.match("DJANGO|DATABASE|REDIS|DEBUG", name)
    }
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env=kept | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_deployment_check_is_clean_over_https() -> None:
    secret = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    done = check(HTTPS="1", SECRET_KEY=secret, ALLOWED_HOSTS="jobs.example.org")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no issues" in done.stdout


def test_it_would_complain_without_https() -> None:
    done = check(HTTPS="0")
    assert done.returncode == 1
    assert "security.W004" in done.stderr  # no HSTS
