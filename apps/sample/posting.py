"""One posting from the dice."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from apps.sample.dice import Dice
from apps.sample.pay import local_pay, pay_period, yearly_usd
from apps.sample.vocabulary import ENGLISH_LEVELS, Family, Level, Place, Sector, Title, Vocabulary
from apps.sample.wording import enumeration

Row = dict[str, Any]

MINUTES_A_DAY = 24 * 60
WORDS_BEFORE_OFFER = 148  # with the marks of headings and list items
INTERMEDIATE = ENGLISH_LEVELS.index("intermediate")


@dataclass(frozen=True, slots=True)
class Job:
    """What the row and its text must agree on."""

    family: Family
    level: Level
    title: Title
    sector: Sector
    company: str
    place: Place
    employment: str
    remote: bool
    years: int
    english: str | None
    core: list[str]
    welcome: list[str]
    skills_stated: bool


class PostingWriter:
    """Writes postings whose title, pay, experience and text agree with each other."""

    def __init__(self, words: Vocabulary, dice: Dice, now: datetime) -> None:
        self._words = words
        self._dice = dice
        self._now = now

    def row(self, number: int) -> Row:
        """The posting for the dice's present key. A value that is missing has no key."""
        job = self._job()
        row: Row = {
            "external_id": f"sample-p-{number:07d}",
            "title": job.title.heading,
            "company": job.company,
            "description": self._description(job),
            "language": "en",
            "city": job.place.city,
            "region": job.place.region,
            "country": job.place.country,
            "remote": job.remote,
            "employment_type": job.employment,
            "experience_years": job.years,
        }
        if job.english is not None:
            row["english_level"] = job.english
        if self._dice.chance(0.75):
            row |= self._salary(job)
        row["job_family"] = job.family.name
        if job.skills_stated:
            row["skills"] = job.core + job.welcome
        return row | self._dates()

    def _job(self) -> Job:
        dice = self._dice
        family = dice.pick(self._words.families)
        level = dice.pick(family.posting_levels)
        sector = dice.pick(family.sectors)
        place = dice.pick(self._words.places)
        return Job(
            family=family,
            level=level,
            title=dice.pick(family.titles[level.name]),
            sector=sector,
            company=self._company(sector),
            place=place,
            employment=self._employment(family, level),
            remote=dice.chance(family.remote),
            years=dice.whole(*level.required),
            english=self._english(family, place) if dice.chance(0.9) else None,
            core=dice.some(family.core, dice.whole(3, 5)),
            welcome=dice.some(family.optional, dice.whole(1, 4)),
            skills_stated=dice.chance(0.85),
        )

    def _employment(self, family: Family, level: Level) -> str:
        if level.name == "intern":
            return "internship"
        employment = self._dice.pick(family.employment)
        return "full_time" if level.name == "lead" and employment != "part_time" else employment

    def _company(self, sector: Sector) -> str:
        first, second = self._dice.some(self._words.company_words, 2)
        return self._dice.pick(sector.companies).format(a=first, b=second)

    def _english(self, family: Family, place: Place) -> str:
        usual = family.english + self._dice.pick((-1, 0, 0, 0, 1))
        lowest = INTERMEDIATE if place.english_at_work else 0
        return ENGLISH_LEVELS[min(max(usual, lowest), len(ENGLISH_LEVELS) - 1)]

    def _salary(self, job: Job) -> Row:
        fewest, most = job.level.required
        served = (job.years - fewest) / max(most - fewest, 1)
        usd = yearly_usd(job.family, job.level, served) * self._dice.between(0.94, 1.06)
        period = pay_period(job.place, job.employment)
        return {
            "salary_min": local_pay(usd * self._dice.between(0.9, 0.96), job.place, period),
            "salary_max": local_pay(usd * self._dice.between(1.06, 1.18), job.place, period),
            "salary_currency": job.place.currency,
            "salary_period": period,
        }

    def _dates(self) -> Row:
        dice = self._dice
        if dice.chance(0.08):  # the deadline has passed
            age = dice.whole(16 * MINUTES_A_DAY, 90 * MINUTES_A_DAY)
            open_days = dice.whole(14, age // MINUTES_A_DAY - 1)
        else:
            age = dice.whole(0, 90 * MINUTES_A_DAY)
            open_days = dice.whole(max(14, age // MINUTES_A_DAY + 1), 120)
        published = self._now - timedelta(minutes=age)
        return {
            "published_at": published.isoformat(),
            "closes_at": (published + timedelta(days=open_days)).isoformat(),
            "status": "closed" if dice.chance(0.04) else "open",
        }

    def _description(self, job: Job) -> str:
        text = f"{self._introduction(job)}\n\n{self._duties(job)}\n\n{self._requirements(job)}"
        # A long posting keeps quiet about benefits, so that none is longer than people like to read.
        if self._dice.chance(0.2) or len(text.split()) > WORDS_BEFORE_OFFER:
            return text
        return f"{text}\n\n{self._offer(job)}"

    def _introduction(self, job: Job) -> str:
        dice, phrases = self._dice, self._words.posting
        opening = dice.pick(phrases["opening"][job.employment])
        sentences = [dice.pick(job.sector.intros), dice.pick(job.family.team), opening]
        if job.remote:
            sentences.append(dice.pick(phrases["remote"]))
        return " ".join(sentences).format(
            company=job.company,
            city=job.place.city,
            region=job.place.region,
            country=job.place.country_name,
            a_title=job.title.with_article,
            hours=5 * dice.whole(3, 6),
            months=3 * dice.whole(1, 2 if job.employment == "internship" else 4),
        )

    def _duties(self, job: Job) -> str:
        dice = self._dice
        lines = dice.some(job.family.duties, 3 if job.remote else dice.whole(3, 4))
        lines.append(dice.pick(job.level.duties).format(n=dice.whole(4, 12)))
        return _section(dice.pick(self._words.posting["headings"]["duties"]), lines)

    def _requirements(self, job: Job) -> str:
        dice, phrases = self._dice, self._words.posting
        experience = dice.pick(phrases["one_year"] if job.years == 1 else job.level.experience)
        lines = [experience.format(years=job.years, a_role=job.family.a_role)]
        if not job.skills_stated or dice.chance(0.5):
            # Skills that the row does not state must be found in the text: then it names all of them.
            lines += [self._skills("skills_required", job.core), self._skills("skills_welcome", job.welcome)]
        else:
            lines.append(self._skills("skills_required", job.core[:3]))
        lines += dice.some(job.family.requirements, 2)
        if english := phrases["english"][job.english or "none"]:
            lines.append(dice.pick(english))
        return _section(dice.pick(phrases["headings"]["requirements"]), lines)

    def _skills(self, phrase: str, skills: list[str]) -> str:
        wording = enumeration([self._words.in_sentence[skill] for skill in skills])
        return str(self._dice.pick(self._words.posting[phrase]).format(skills=wording))

    def _offer(self, job: Job) -> str:
        dice, phrases = self._dice, self._words.posting
        lines = dice.some(job.family.benefits, dice.whole(2, 3))
        if job.employment == "internship":
            lines[0] = dice.pick(phrases["benefits"]["internship"])
        if job.remote:
            lines.append(dice.pick(phrases["benefits"]["remote"]))
        return _section(dice.pick(phrases["headings"]["offer"]), lines)


def _section(heading: str, lines: list[str]) -> str:
    return f"## {heading}\n\n" + "\n".join(f"- {line}" for line in lines)
