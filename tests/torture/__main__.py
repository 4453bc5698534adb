"""Kills processes of a working pipeline at random, and asks afterwards whether anything was lost.

Real workers, beat, sidecar, PostgreSQL and Valkey; rows are edited and deleted meanwhile, and some hold poison that makes
the encoder raise, yield nonsense, crash or be killed. The same seed makes the same rows and the same choice of victims;
the moments differ, since the processes do.
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

RECOVERY = 60.0  # seconds
PATIENCE = 240.0  # seconds for everything to settle after the last kill
EDITS_EVERY = 0.7  # seconds
CHECKED_AGAIN = 400  # edited rows whose vectors are compared with their texts


def main() -> int:
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--seed", type=int, default=0, help="0: a new one, which is printed")
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--poisons", type=int, default=2, help="rows of each of the four sorts of poison")
    parser.add_argument(
        "--keep", type=Path, help="folder for data and logs, kept (default: a throw-away one)"
    )
    options = parser.parse_args()
    sorts: Sequence[str] = failing_texts.ALL
    if options.quick:
        options.kills, options.rows, options.poisons, sorts = (
            3,
            400,
            1,
            (failing_texts.SEGFAULTS, failing_texts.NOT_FINITE),
        )
        os.environ["EMBEDDING_SUSPECT_AFTER"] = "1"  # one start of a worker less
    seed = options.seed or random.SystemRandom().randrange(1, 2**31)
    result = report.start("Torture")
    result.figure(
        f"seed {seed}, {options.kills} kills, {options.rows:,} rows, {options.poisons * len(sorts)} with poison"
    )
    with tempfile.TemporaryDirectory(prefix="jobrec-torture-") as scratch:
        folder = (options.keep or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        harness = Harness(folder, seed, result)
        harness.run(kills=options.kills, rows=options.rows, poisons=options.poisons, sorts=sorts)
    return result.status


class Harness:
    """One torture from beginning to end."""

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
            "EMBEDDING_NICE": "0",  # whatever else runs shall not go first
        }
        self._stage = Stage(folder, ports)

    def run(self, *, kills: int, rows: int, poisons: int, sorts: Sequence[str]) -> None:
        from django.core.management import call_command

        with self._stage.up():
            import django

            django.setup()
            call_command("migrate", verbosity=0)
            with self._stage.connect() as connection:
                self._corpus.create(connection, rows=rows, poisons=poisons, sorts=sorts)
            self._stage.start()
            self._wait_for_progress(time.time(), 120)
            recoveries = [self._kill_one(number) for number in range(1, kills + 1)]
            settled = self._settle()
            self._judge(recoveries, settled)

    def _kill_one(self, number: int) -> float:
        """Waits a random while, kills one of the victims, and returns the seconds until something is written again."""
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
            time.sleep(0.1)  # it is only just being restarted
            killed_at, done = time.time(), self._stage.kill(victim)
        if not done:
            raise SystemExit(f"{victim} was not there to be killed:\n{self._stage.logs(victim)}")
        seconds = self._wait_for_progress(killed_at, 2 * RECOVERY)
        self._result.figure(f"kill {number:3}: {done}, written again after {seconds:.1f} s")
        return seconds

    def _wait_for_progress(self, since: float, patience: float) -> float:
        """Seconds from `since` (UNIX time) until a chunk was written; `patience` where none was."""
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
                continue  # it is the one that was killed
            if row and row[0]:
                return float(row[0]) - since
            time.sleep(0.3)
        return patience

    def _disturb(self) -> None:
        """A few edits, at most so often that the workers can follow."""
        if time.monotonic() < self._disturb_at:
            return
        self._disturb_at = time.monotonic() + EDITS_EVERY
        try:
            with self._stage.connect() as connection:
                self._corpus.disturb(connection)
        except psycopg.OperationalError:
            return  # PostgreSQL was killed meanwhile; the row at which it happened is looked up in the end

    def _settle(self) -> float:
        """Seconds until nothing is left to do, with nobody killing and editing any more."""
        started = time.monotonic()
        while time.monotonic() - started < PATIENCE:
            with self._stage.connect() as connection:
                if not verdict.unsettled(connection):
                    break
            time.sleep(0.5)
        return time.monotonic() - started

    def _judge(self, recoveries: list[float], settled: float) -> None:
        result, corpus = self._result, self._corpus
        with self._stage.connect() as connection:
            counts = verdict.answers(connection)
            letters = verdict.open_letters(connection)
            there = verdict.rows(connection)
            edited = sorted(corpus.edited)
            checked = self._chance.sample(edited, min(CHECKED_AGAIN, len(edited)))
            wrong = verdict.wrong_vectors(connection, checked)
            runs = connection.execute("SELECT count(*) FROM embeddings_embeddingrun").fetchone()
        poisoned = set(corpus.poisoned)
        result.figure(
            f"settled {settled:.1f} s after the last kill; {runs[0] if runs else 0} runs; {len(corpus.edited):,} rows "
            f"edited, {len(corpus.deleted):,} deleted; the vectors of {len(checked)} edited rows "
            f"were compared with their texts"
        )
        known = set(corpus.alive) | poisoned
        result.at_most("rows_lost", len(known - there - corpus.doubtful), 0)
        result.at_most("rows_that_came_back", len(corpus.deleted & there), 0)
        for name, count in counts.items():
            result.at_most(name, count, 0)
        result.at_most("stale_vectors_marked_current", wrong, 0)
        result.at_most("dead_letters_that_are_no_poison", len(letters - poisoned), 0)
        result.at_most("poison_without_dead_letter", len(poisoned - letters), 0)
        result.at_most("longest_recovery_seconds", max(recoveries, default=0.0), RECOVERY)
        if result.status:
            for name in ("embed-worker", "write-worker", "beat"):
                result.figure(f"{name}:\n{self._stage.logs(name)}")


if __name__ == "__main__":
    sys.exit(main())
