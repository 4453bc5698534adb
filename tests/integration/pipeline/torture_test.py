"""The short form of `make torture`: a few kills of real processes, and the same checks."""

import subprocess
import sys

import pytest

from jobrec_site.local.programs import ROOT

# Kills Valkey, the write worker and PostgreSQL. With any seed, a failing text kills the embed worker.
SEED = "34"


@pytest.mark.timeout(600)
def test_nothing_is_lost_when_processes_are_killed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.torture", "--quick", "--seed", SEED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )
    targets = [line for line in done.stdout.splitlines() if line.startswith("TARGET ")]
    assert len(targets) == 14, done.stdout + done.stderr
    # The time of a recovery depends on the machine and on other tests, so it is not checked here.
    counts = [line for line in targets if not line.startswith("TARGET longest_recovery_seconds ")]
    assert len(counts) == 13
    assert all(line.endswith(" ok") for line in counts), done.stdout
