"""The rows of the torture test: created, edited and deleted in plain SQL while the pipeline works on them."""

import random
from collections.abc import Sequence
from typing import Any

import psycopg

WORDS = [
    "nurse",
    "welder",
    "teacher",
    "analyst",
    "driver",
    "shift",
    "ward",
    "steel",
    "school",
    "ledger",
    "night",
    "crane",
    "patient",
    "invoice",
    "route",
    "weld",
    "lesson",
    "audit",
    "depot",
    "clinic",
    "forge",
    "class",
    "budget",
    "cargo",
    "care",
    "joint",
    "pupil",
    "tax",
    "dock",
    "triage",
]


class Corpus:
    """What the test itself knows of its rows, by primary key."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.alive: list[int] = []
        self.failing: dict[int, str] = {}
        self.edited: set[int] = set()
        self.deleted: set[int] = set()
        self.doubtful: set[int] = set()

    def create(
        self, connection: psycopg.Connection[Any], *, rows: int, failing: int, markers: Sequence[str]
    ) -> None:
        """Insert `rows` postings, among them `failing` with each of the markers of failing texts."""
        used = [marker for marker in markers for _ in range(failing)]
        share = rows // len(used)
        with connection.transaction():
            for number in range(rows):
                # Spread over the corpus and its lengths, so that they share chunks with different rows.
                place, rest = divmod(number, share)
                fails = rest == 7 and place < len(used)
                key = self._insert(connection, used[place] if fails else "")
                if fails:
                    self.failing[key] = used[place]
                else:
                    self.alive.append(key)

    def disturb(self, connection: psycopg.Connection[Any]) -> None:
        """Edit a few rows, delete one and add one, each in its own transaction."""
        for key in self._chance.sample(self.alive, min(4, len(self.alive))):
            connection.execute(
                "UPDATE postings_posting SET description = %s WHERE id = %s",
                [self._words(self._chance.randint(5, 60)), key],
            )
            self.edited.add(key)
        deleted = self._chance.choice(self.alive)
        self.doubtful.add(deleted)  # until PostgreSQL has confirmed it
        connection.execute("DELETE FROM postings_posting WHERE id = %s", [deleted])
        self.doubtful.discard(deleted)
        self.alive.remove(deleted)
        self.edited.discard(deleted)
        self.deleted.add(deleted)
        self.alive.append(self._insert(connection, ""))

    def _insert(self, connection: psycopg.Connection[Any], marker: str) -> int:
        row = connection.execute(
            """
            INSERT INTO postings_posting
                (source, external_id, title, description, language, city, region, country,
                 remote, salary_currency, salary_period, employment_type, job_family, status)
            VALUES ('torture', gen_random_uuid()::text, %s, %s, 'en', '', '', '',
                    false, '', 'year', '', '', 'open')
            RETURNING id
            """,
            [self._words(4), f"{self._words(self._chance.randint(5, 60))} {marker}"],
        ).fetchone()
        assert row is not None
        return int(row[0])

    def _words(self, count: int) -> str:
        return " ".join(self._chance.choices(WORDS, k=count))
