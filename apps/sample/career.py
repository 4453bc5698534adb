"""The working life of one candidate from the dice, before it is put into words."""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.sample.dice import Dice
from apps.sample.vocabulary import ENGLISH_LEVELS, Family, Level, Place, Sector, Title, Vocabulary

# How many skills a résumé names when no list states them: more would not be pleasant to read.
MOST_NAMED = 9


@dataclass(frozen=True, slots=True)
class Station:
    """One job of a career, with what the candidate achieved there."""

    title: Title
    employer: str
    start: int
    end: int | None  # None: it is the present job
    achievements: list[str]


@dataclass(frozen=True, slots=True)
class Career:
    """What a candidate's row and texts must agree on."""

    family: Family
    level: Level
    sector: Sector
    title: Title
    place: Place
    years: int
    stations: list[Station]  # the present job first; none without experience
    beginnings: list[str]  # what people with less than three years did while they were learning
    graduated: int
    english: str
    remote: bool
    skills: list[str]
    skills_stated: bool


class Careers:
    """Draws careers that lead to the present `year`."""

    def __init__(self, words: Vocabulary, dice: Dice, year: int) -> None:
        self._words = words
        self._dice = dice
        self._year = year
        self._levels = [level for level in words.levels.values() if level.name != "intern"]

    def career(self) -> Career:
        dice = self._dice
        family = dice.pick(self._words.families)
        level = dice.pick(self._levels)
        sector = dice.pick(family.sectors)
        title = dice.pick(family.titles[level.name])
        place = dice.pick(self._words.places)
        years = dice.whole(*level.served)
        skills_stated = dice.chance(0.8)
        return Career(
            family=family,
            level=level,
            sector=sector,
            title=title,
            place=place,
            years=years,
            stations=self._stations(family, level, sector, title, years) if years else [],
            beginnings=self._filled(dice.some(family.first_steps, 3 if years == 0 else 2))
            if years < 3
            else [],
            graduated=self._year - years,
            english=self._english(family, place),
            remote=dice.chance(family.remote),
            skills=self._skills(family, 12 if skills_stated else MOST_NAMED),
            skills_stated=skills_stated,
        )

    def _stations(
        self, family: Family, level: Level, sector: Sector, title: Title, years: int
    ) -> list[Station]:
        """The career backwards: the present job, then up to two earlier ones if the years allow."""
        dice = self._dice
        count = 1 if years < 3 else 2 if years < 8 else 3
        achievements = self._filled(dice.some(family.achievements, 2 * count))
        if level.name in {"senior", "lead"}:
            achievements[1] = self._filled([dice.pick(family.milestones)], most=min(9, years))[0]
        if level.name == "lead":
            achievements[0] = self._filled([dice.pick(self._words.candidate["jobs"]["leading"])])[0]
        stations: list[Station] = []
        began, left = self._year - years, years  # `left`: years served when the job that is drawn next ended
        for job, employer in enumerate(dice.some(sector.employers, count)):
            joined = self._joined(left, count - job - 1, level.served[0] - 2 if job == 0 else 0)
            stations.append(
                Station(
                    title=dice.pick(family.titles[self._level_after((joined + left) // 2).name])
                    if job
                    else title,
                    employer=employer,
                    start=began + joined,
                    end=began + left if job else None,
                    achievements=achievements[2 * job : 2 * job + (2 if job < 2 else 1)],
                )
            )
            left = joined
        return stations

    def _joined(self, left: int, earlier_jobs: int, least: int) -> int:
        """Years served before a job that ended after `left` years; each earlier job takes one year at least."""
        if not earlier_jobs:
            return 0
        least = max(least, earlier_jobs)
        return self._dice.whole(least, max(least, left * 2 // 3))

    def _level_after(self, years: int) -> Level:
        return next(level for level in reversed(self._levels) if level.served[0] <= years)

    def _filled(self, phrases: Sequence[str], most: int = 9) -> list[str]:
        dice = self._dice
        return [phrase.format(n=dice.whole(3, most), pct=dice.whole(11, 44)) for phrase in phrases]

    def _english(self, family: Family, place: Place) -> str:
        if place.english_at_work:
            return ENGLISH_LEVELS[-1] if self._dice.chance(0.85) else ENGLISH_LEVELS[-2]
        usual = family.english + self._dice.pick((-1, 0, 0, 1))
        return ENGLISH_LEVELS[min(max(usual, 0), len(ENGLISH_LEVELS) - 1)]

    def _skills(self, family: Family, most: int) -> list[str]:
        core = self._dice.some(family.core, self._dice.whole(3, 6))
        return core + self._dice.some(family.optional, self._dice.whole(1, min(6, most - len(core))))
