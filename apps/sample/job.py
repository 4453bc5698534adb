"""What postings and candidates have in common: a line of work, a level, a place and the pay."""

import math
from dataclasses import dataclass
from typing import Any

from apps.sample.dice import Dice
from apps.sample.vocabulary import Table, Vocabulary

ENGLISH_LEVELS = ("none", "basic", "pre_intermediate", "intermediate", "upper_intermediate", "fluent")
PERIODS_A_YEAR = {"year": 1, "month": 12, "hour": 2080}


@dataclass(frozen=True)
class Job:
    """A job whose title, years, pay and text must agree."""

    family: Table
    level: Table
    title: str
    sector: Table
    place: Table
    years: int
    employment: str
    remote: bool
    skills: list[str]
    english: str

    def columns(self) -> dict[str, Any]:
        """Return the fields that postings and candidates share."""
        place = {name: self.place[name] for name in ("city", "region", "country")}
        return {"language": "en", **place, "remote": self.remote, "experience_years": self.years}

    def pay(self, factor: float, period: str, *, span: str) -> float:
        """Return the pay per `period` in the money of the place, rounded as people round pay.

        It grows with the years within the `span` of the level, `required` or `served`; `factor` moves it up
        or down.
        """
        (low, high), (start, end), (first, last) = self.family["salary"], self.level["pay"], self.level[span]
        progress = (self.years - first) / max(last - first, 1)
        usd = factor * (low + (high - low) * (start + (end - start) * progress))
        amount = usd * self.place["per_usd"] * self.place["factor"] / PERIODS_A_YEAR[period]
        step = 10 ** (math.floor(math.log10(amount)) - 1) / 2
        rounded = round(amount / step) * step
        return round(rounded, 2) if period == "hour" else int(rounded)


def draw_job(words: Vocabulary, dice: Dice, *, span: str) -> Job:
    """Draw a job whose years lie in a span of its level: `required` for postings, `served` for candidates."""
    family, place = dice.pick(words.families), dice.pick(words.places)
    shares = {name: level["share"] for name, level in words.levels.items() if name in family["titles"]}
    if span == "served":
        shares = {name: 1 for name in shares if name != "intern"}
    name = _by_share(dice, shares)
    english = ENGLISH_LEVELS.index(family["english"]) + dice.whole(-1, 1)
    return Job(
        family=family,
        level=words.levels[name],
        title=dice.pick(family["titles"][name]),
        sector=words.sectors[dice.pick(family["sectors"])],
        place=place,
        years=dice.whole(*words.levels[name][span]),
        employment="internship" if name == "intern" else _by_share(dice, family["employment"]),
        remote=dice.chance(family["remote"]),
        skills=dice.some(family["core"], dice.whole(3, 5)) + dice.some(family["optional"], dice.whole(1, 4)),
        english=ENGLISH_LEVELS[min(max(english, 3 if place["english"] else 0), len(ENGLISH_LEVELS) - 1)],
    )


def _by_share(dice: Dice, shares: dict[str, int]) -> str:
    return dice.pick([name for name, share in shares.items() for _ in range(share)])
