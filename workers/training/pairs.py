"""Pairs of texts that mean the same, endlessly, from three kinds of sources. Pure functions.

A pair carries its group, such as the occupation that both texts name. Two pairs of one group must not stand
in one batch, because a batch treats the texts of its other pairs as wrong answers.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

# Share of the pairs of a name whose other side is any name of the occupation, and not the preferred one
ANY_NAME = 0.6
ALIAS_LENGTH = range(4, 90)  # characters; shorter ones are abbreviations of many things
MAX_DESCRIPTION = 400  # characters of a skill
MAX_STATEMENT = 900  # characters of what a candidate writes
MAX_TASKS = 8  # tasks next to the title
# What of a posting is paired with "title. tasks": its statement of experience, its requirements, or else half
# of its tasks
STATEMENT_SHARE, REQUIREMENTS_SHARE = 0.6, 0.85
# The formula before the content, as in "I have one year of experience equivalent to GS-9, such as:"
FORMULA = re.compile(
    r"^.{0,400}?(?:\bsuch as\b|\bexamples?\b[^:]{0,60}:|\bexperience (?:is|in|with|that|includes)\b)[:\s]*",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class Pair:
    """Two texts that should get similar vectors, and the name of the group that both belong to."""

    anchor: str
    positive: str
    group: str


Row = Mapping[str, Any]


def occupations(rows: Iterable[Row]) -> dict[str, list[str]]:
    """Return the names of each occupation by its code and preferred name, the preferred name first.

    Rows have `name`, `preferred` and `esco_code`. Occupations with one name only are left out.
    """
    names: dict[str, dict[str, None]] = defaultdict(dict)
    for row in rows:
        group = names[f"{row['esco_code']} {row['preferred']}"]
        group[row["preferred"]] = group[row["name"]] = None
    return {key: list(group) for key, group in names.items() if len(group) > 1}


def is_held_out(key: str, share: float) -> bool:
    """Return whether a key belongs to the share (0 to 1) that is never trained on, by its hash."""
    return int.from_bytes(hashlib.sha256(key.casefold().encode()).digest()[:4]) < share * 2**32


def name_pairs(names: Mapping[str, list[str]], random: Random) -> Iterator[Pair]:
    """Pairs of names of one occupation: each name in turn, with another name or the preferred one."""
    every = [(key, name) for key, group in names.items() for name in group]
    while every:
        random.shuffle(every)
        for key, name in every:
            group = names[key]
            other = random.choice(group) if random.random() < ANY_NAME else group[0]
            if other == name:
                other = random.choice([each for each in group if each != name])
            yield Pair(name, other, key)


def skill_pairs(rows: Iterable[Row], random: Random) -> Iterator[Pair]:
    """Pairs of a skill's alias or description and its name.

    Rows have `skill_name`, `aliases` (separated by commas) and `description`. A description comes twice as
    often as each alias.
    """
    pairs = []
    for row in rows:
        name = row["skill_name"]
        aliases = [each.strip() for each in (row.get("aliases") or "").split(",")]
        others = [
            each for each in aliases if len(each) in ALIAS_LENGTH and each.casefold() != name.casefold()
        ]
        if row.get("description"):
            others += [_one_line(row["description"])[:MAX_DESCRIPTION]] * 2
        pairs += [Pair(other, name, name.casefold()) for other in others]
    while pairs:
        random.shuffle(pairs)
        yield from pairs


def posting_pairs(rows: Iterable[Row], random: Random) -> Iterator[Pair]:
    """Pairs of what a candidate would write for a posting and "title. tasks".

    Rows have `title`, and may have `tasks` and `requirements` (lists) and `statement`. Rows without tasks and
    statement are left out, and so are further ones with the same title and the same statement or first tasks.
    """
    distinct = {
        (_one_line(row["title"]).casefold(), *(sorted(row["tasks"])[:3] or [row["statement"]])): row
        for row in rows
        if row["tasks"] or row.get("statement")
    }
    postings = list(distinct.values())
    while postings:
        random.shuffle(postings)
        for posting in postings:
            yield _posting_pair(posting, random)


def _posting_pair(posting: Row, random: Random) -> Pair:
    title, tasks = _one_line(posting["title"]), list(posting["tasks"])
    random.shuffle(tasks)
    draw = random.random()
    half = len(tasks) // 2
    if (statement := posting.get("statement")) and (draw < STATEMENT_SHARE or not tasks):
        line = _one_line(statement)
        written, offered = FORMULA.sub("", line) or line, tasks[:MAX_TASKS]
    elif (requirements := posting.get("requirements")) and draw < REQUIREMENTS_SHARE:
        written = " ".join(random.sample(list(requirements), min(2, len(requirements))))
        offered = tasks[:MAX_TASKS]
    elif half:
        written, offered = " ".join(tasks[:half]), tasks[half:]
    else:
        written, offered = " ".join(tasks), []
    text = f"{title}. {_one_line(' '.join(offered))}" if offered else title
    return Pair(_one_line(written)[:MAX_STATEMENT], text, title.casefold())


def _one_line(text: str) -> str:
    return " ".join(text.split())
