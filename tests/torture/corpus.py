"""The rows under torture, written in plain SQL: made, edited, deleted and poisoned while the pipeline works on them."""

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
    """What the harness itself knows of its rows, by primary key."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.alive: list[int] = []
        self.poisoned: dict[int, str] = {}
        self.edited: set[int] = set()
        self.deleted: set[int] = set()
        self.doubtful: set[int] = set()

    def create(
        self, connection: psycopg.Connection[Any], *, rows: int, poisons: int, sorts: Sequence[str]
    ) -> None:
        """Inserts `rows` postings, `poisons` of each sort of poison among them."""
        kinds = [sort for sort in sorts for _ in range(poisons)]
        share = rows // len(kinds)
        with connection.transaction():
            for number in range(rows):
                # Spread over the corpus, and of all lengths, so that they meet different neighbours.
                place, rest = divmod(number, share)
                poisonous = rest == 7 and place < len(kinds)
                key = self._insert(connection, kinds[place] if poisonous else "")
                if poisonous:
                    self.poisoned[key] = kinds[place]
                else:
                    self.alive.append(key)

    def disturb(self, connection: psycopg.Connection[Any]) -> None:
        """Edits a few rows, deletes one and adds one, each in a transaction of its own, as people do."""
        for key in self._chance.sample(self.alive, min(4, len(self.alive))):
            connection.execute(
                "UPDATE postings_posting SET description = %s WHERE id = %s",
                [self._words(self._chance.randint(5, 60)), key],
            )
            self.edited.add(key)
        gone = self._chance.choice(self.alive)
        self.doubtful.add(gone)  # until it is known that PostgreSQL did it
        connection.execute("DELETE FROM postings_posting WHERE id = %s", [gone])
        self.doubtful.discard(gone)
        self.alive.remove(gone)
        self.edited.discard(gone)
        self.deleted.add(gone)
        self.alive.append(self._insert(connection, ""))

    def _insert(self, connection: psycopg.Connection[Any], poison_text: str) -> int:
        row = connection.execute(
            "INSERT INTO postings_posting (source, external_id, title, description, language, city, region, country, "
            "remote, salary_currency, salary_period, employment_type, job_family, status) "
            "VALUES ('torture', gen_random_uuid()::text, %s, %s, 'en', '', '', '', false, '', 'year', '', '', 'open') "
            "RETURNING id",
            [self._words(4), f"{self._words(self._chance.randint(5, 60))} {poison_text}"],
        ).fetchone()
        assert row is not None
        return int(row[0])

    def _words(self, count: int) -> str:
        return " ".join(self._chance.choices(WORDS, k=count))
