"""Remove one safeguard of the ledger at a time, in a copy of the tree, and check that its test fails.

`python -m tests.safeguards` exits with 1 if a safeguard can be removed without a failing test.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench import report
from jobrec_site.local.programs import ROOT

LEDGER_TESTS = "tests/integration/embeddings"


@dataclass(frozen=True)
class Safeguard:
    """A line of code that keeps a promise: if `without` replaces `text` in `file`, `test` must fail."""

    name: str
    file: str
    text: str
    without: str
    test: str


SAFEGUARDS = (
    Safeguard(
        "the conditional write",
        "apps/embeddings/sql/write_vectors.sql",
        "record.id = embedded.id AND record.content_hash = embedded.hash",
        "record.id = embedded.id",
        f"{LEDGER_TESTS}/chunk_ledger_test.py::test_write_chunk_skips_rows_that_were_edited_or_deleted_since_they_were_read",
    ),
    Safeguard(
        "the lease, when a chunk is taken",
        "apps/embeddings/leases.py",
        'EmbeddingChunk.objects.filter(free, left, pk=chunk_id, run_id__in=running.values("pk"))',
        "EmbeddingChunk.objects.filter(pk=chunk_id)",
        f"{LEDGER_TESTS}/leases_test.py::test_lease_chunk_succeeds_for_one_of_several_concurrent_workers",
    ),
    Safeguard(
        "the lease, when vectors are stored",
        "apps/embeddings/chunk_ledger.py",
        "WHERE id = %(chunk)s AND lease = %(lease)s AND state = 'leased'",
        "WHERE id = %(chunk)s AND (lease = %(lease)s OR true)",
        f"{LEDGER_TESTS}/leases_test.py::test_a_late_result_is_refused_after_the_lease_went_to_another_worker",
    ),
    Safeguard(
        "the compare-and-set finish",
        "apps/embeddings/chunk_ledger.py",
        "EmbeddingRun.objects.filter(pk=run_id, state=EmbeddingRun.State.RUNNING)\n        .exclude(",
        "EmbeddingRun.objects.filter(pk=run_id)\n        .exclude(",
        f"{LEDGER_TESTS}/chunk_ledger_test.py::test_finish_run_succeeds_for_one_of_several_concurrent_callers",
    ),
    Safeguard(
        "the sweeper",
        "workers/tasks.py",
        "    sweeping.recover()\n",
        "    return\n",
        "tests/integration/pipeline/recovery_test.py::"
        "test_embedded_chunks_are_not_embedded_again_after_all_workers_were_killed",
    ),
)


def main() -> int:
    """Check every safeguard and return the exit status."""
    result = report.start("Safeguards")
    for safeguard in SAFEGUARDS:
        with tempfile.TemporaryDirectory(prefix="jobrec-safeguard-") as scratch:
            tree = Path(scratch) / "jobrec"
            shutil.copytree(
                ROOT, tree, ignore=shutil.ignore_patterns(".venv", ".data", ".git", "__pycache__", ".*_cache")
            )
            failed, output = _fails_without(safeguard, tree)
        result.figure(
            f"without {safeguard.name}: {safeguard.test.rpartition('::')[2]} "
            f"{'fails' if failed else 'PASSES'}"
        )
        if not failed:
            result.figure(output)
        result.at_least(safeguard.name.replace(" ", "_").replace(",", ""), int(failed), 1)
    return result.status


def _fails_without(safeguard: Safeguard, tree: Path) -> tuple[bool, str]:
    """Whether the test fails in `tree` without the safeguard, and what it printed."""
    file = tree / safeguard.file
    text = file.read_text()
    if text.count(safeguard.text) != 1:
        raise SystemExit(
            f"{safeguard.file} does not contain the text of {safeguard.name} exactly once. "
            "Update tests/safeguards.py."
        )
    file.write_text(text.replace(safeguard.text, safeguard.without))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", safeguard.test],
        cwd=tree,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    # Status 1: tests ran and failed. A test that could not run (2 and above) proves nothing.
    return done.returncode == 1 and " failed" in done.stdout, done.stdout[-2_000:]


if __name__ == "__main__":
    sys.exit(main())
