"""Kill processes of a working pipeline at random, and check afterwards that nothing was lost.

The workers, beat, the sidecar, PostgreSQL and Valkey are real. Rows are edited and deleted all the time, and
some texts make the encoder raise, return nonsense, crash or be killed. The same seed makes the same rows and
chooses the same victims, at moments that differ from run to run.
"""

import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg

from bench import report
from jobrec_site.addresses import embedded_addresses
from jobrec_site.local.preflight import free_ports
from tests import failing_texts
from tests.torture import verdict
from tests.torture.corpus import Corpus
from tests.torture.stage import VICTIMS, Stage

MAX_RECOVERY = 60.0  # seconds
MAX_SETTLING = 240.0  # seconds after the last kill until all work is done
EDITS_EVERY = 0.7  # seconds
MAX_CHECKED = 400  # edited rows whose vectors are compared with their texts


def main() -> int:
    """Run the torture test and return its exit status."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--seed", type=int, default=0, help="0: a new one, which is printed")
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument(
        "--failing", type=int, default=2, help="rows of each of the four kinds of failing text"
    )
    parser.add_argument(
        "--keep", type=Path, help="folder in which data and logs are kept (default: a temporary one)"
    )
    options = parser.parse_args()
    markers: Sequence[str] = failing_texts.ALL
    if options.quick:
        options.kills, options.rows, options.failing, markers = (
            3,
            400,
            1,
            (failing_texts.SEGFAULTS, failing_texts.NOT_FINITE),
        )
        os.environ["EMBEDDING_SUSPECT_AFTER"] = "1"  # saves one start of a worker
    seed = options.seed or random.SystemRandom().randrange(1, 2**31)
    result = report.start("Torture")
    result.figure(
        f"seed {seed}, {options.kills} kills, {options.rows:,} rows, "
        f"{options.failing * len(markers)} with failing texts"
    )
    with tempfile.TemporaryDirectory(prefix="jobrec-torture-") as scratch:
        folder = (options.keep or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        harness = Harness(folder, seed, result)
        harness.run(kills=options.kills, rows=options.rows, failing=options.failing, markers=markers)
    return result.status


class Harness:
    """One torture test from start to end."""

    def __init__(self, folder: Path, seed: int, result: report.Report) -> None:
        self._result = result
        self._chance = random.Random(seed)
        self._corpus = Corpus(random.Random(seed + 1))
        self._disturb_at = 0.0
        ports = free_ports()
        os.environ |= embedded_addresses(folder) | {
            "DJANGO_SETTINGS_MODULE": "jobrec_site.settings",
            "INVALIDATION_BIND": f"127.0.0.1:{ports.invalidation}",
            "INVALIDATION_ADDRESSES": f"127.0.0.1:{ports.invalidation}",
            "EMBEDDING_CHUNK_SIZE": "100",
            "EMBEDDING_WAVE_SIZE": "3",
            "REEMBED_EVERY": "3",
            "SWEEP_EVERY": "3",
            "SWEEP_PATIENCE": "5",
            "EMBEDDING_LEASE": "20",
            "EMBEDDING_NICE": "0",  # at the priority of all other processes
        }
        self._stage = Stage(folder, ports)

    def run(self, *, kills: int, rows: int, failing: int, markers: Sequence[str]) -> None:
        """Load rows, kill processes, wait until all work is done, and report the targets."""
        from django.core.management import call_command

        with self._stage.up():
            import django

            django.setup()
            call_command("migrate", verbosity=0)
            with self._stage.connect() as connection:
                self._corpus.create(connection, rows=rows, failing=failing, markers=markers)
            self._stage.start()
            self._wait_for_progress(time.time(), 120)
            recoveries = [self._kill_one(number) for number in range(1, kills + 1)]
            settled = self._settle()
            self._report_targets(recoveries, settled)

    def _kill_one(self, number: int) -> float:
        """Wait for a random time and kill a victim; returns the seconds until a chunk is written again."""
        until = time.monotonic() + self._chance.uniform(0, 6)
        while time.monotonic() < until:
            self._disturb()
            time.sleep(0.3)
        victim = self._chance.choice(VICTIMS)
        killed_at = time.time()
        done = self._stage.kill(victim)
        for _ in range(100):
            if done:
                break
            time.sleep(0.1)  # it is being restarted
            killed_at, done = time.time(), self._stage.kill(victim)
        if not done:
            raise SystemExit(f"Cannot kill {victim}: it does not run.\n{self._stage.logs(victim)}")
        seconds = self._wait_for_progress(killed_at, 2 * MAX_RECOVERY)
        self._result.figure(f"kill {number:3}: {done}, written again after {seconds:.1f} s")
        return seconds

    def _wait_for_progress(self, since: float, patience: float) -> float:
        """Seconds from `since` (UNIX time) until a chunk was written, or `patience` if none was."""
        while time.time() - since < patience:
            self._disturb()
            try:
                with self._stage.connect(timeout=patience) as connection:
                    row = connection.execute(
                        "SELECT extract(epoch FROM min(written_at))::float FROM embeddings_embeddingchunk "
                        "WHERE written_at > to_timestamp(%s)",
                        [since],
                    ).fetchone()
            except psycopg.OperationalError:
                continue  # PostgreSQL was the victim
            if row and row[0]:
                return float(row[0]) - since
            time.sleep(0.3)
        return patience

    def _disturb(self) -> None:
        """Edit a few rows, but not more often than the workers can follow."""
        if time.monotonic() < self._disturb_at:
            return
        self._disturb_at = time.monotonic() + EDITS_EVERY
        try:
            with self._stage.connect() as connection:
                self._corpus.disturb(connection)
        except psycopg.OperationalError:
            return  # PostgreSQL was killed; whether it saved the last row is checked at the end

    def _settle(self) -> float:
        """Wait until all work is done, without kills and edits; returns the seconds."""
        started = time.monotonic()
        while time.monotonic() - started < MAX_SETTLING:
            with self._stage.connect() as connection:
                if not verdict.unsettled(connection):
                    break
            time.sleep(0.5)
        return time.monotonic() - started

    def _report_targets(self, recoveries: list[float], settled: float) -> None:
        result, corpus = self._result, self._corpus
        with self._stage.connect() as connection:
            counts = verdict.counts(connection)
            letters = verdict.open_letters(connection)
            present = verdict.rows(connection)
            edited = sorted(corpus.edited)
            checked = self._chance.sample(edited, min(MAX_CHECKED, len(edited)))
            wrong = verdict.wrong_vectors(connection, checked)
            runs = connection.execute("SELECT count(*) FROM embeddings_embeddingrun").fetchone()
        failing = set(corpus.failing)
        result.figure(
            f"settled {settled:.1f} s after the last kill; {runs[0] if runs else 0} runs; "
            f"{len(corpus.edited):,} rows edited, {len(corpus.deleted):,} deleted; "
            f"the vectors of {len(checked)} edited rows were compared with their texts"
        )
        known = set(corpus.alive) | failing
        result.at_most("rows_lost", len(known - present - corpus.doubtful), 0)
        result.at_most("deleted_rows_that_came_back", len(corpus.deleted & present), 0)
        for name, count in counts.items():
            result.at_most(name, count, 0)
        result.at_most("stale_vectors_marked_current", wrong, 0)
        result.at_most("dead_letters_of_good_texts", len(letters - failing), 0)
        result.at_most("failing_texts_without_dead_letter", len(failing - letters), 0)
        result.at_most("longest_recovery_seconds", max(recoveries, default=0.0), MAX_RECOVERY)
        if result.status:
            for name in ("embed-worker", "write-worker", "beat"):
                result.figure(f"{name}:\n{self._stage.logs(name)}")


if __name__ == "__main__":
    sys.exit(main())
