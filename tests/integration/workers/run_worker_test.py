"""Priority and cores of the embed worker."""

import os
import subprocess
import sys

import pytest

from workers.encoding.hardware import usable_cores

SHOW = """
import os, django
django.setup()
from workers.management.commands.run_worker import _embed
before = os.nice(0)
_embed()
print(os.sched_getscheduler(0) == os.SCHED_IDLE, os.nice(0) - before, len(os.sched_getaffinity(0)))
"""


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="Linux only")
@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"EMBEDDING_NICE": "3"}, f"False 3 {usable_cores()}"),
        ({"EMBEDDING_NICE": "0", "EMBEDDING_IDLE": "true", "EMBEDDING_CORES": "1"}, "True 0 1"),
    ],
)
def test_the_embed_worker_sets_priority_and_cores_as_configured(changes: dict[str, str], shown: str) -> None:
    process = subprocess.run(
        [sys.executable, "-c", SHOW], env=os.environ | changes, capture_output=True, text=True, check=True
    )
    assert process.stdout.split("\n")[-2] == shown
