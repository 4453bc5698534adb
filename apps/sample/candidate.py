"""One candidate from the dice: a résumé without personal data."""

from datetime import datetime
from typing import Any

from apps.sample.career import Career, Careers, Station
from apps.sample.dice import Dice
from apps.sample.pay import local_pay, yearly_usd
from apps.sample.vocabulary import Vocabulary
from apps.sample.wording import capitalized, enumeration

Row = dict[str, Any]


class CandidateWriter:
    """Writes candidates whose years, jobs, pay and texts agree with each other."""

    def __init__(self, words: Vocabulary, dice: Dice, now: datetime) -> None:
        self._phrases = words.candidate
        self._in_sentence = words.in_sentence
        self._dice = dice
        self._careers = Careers(words, dice, now.year)

    def row(self, number: int) -> Row:
        """The candidate for the dice's present key. A value that is missing has no key."""
        career = self._careers.career()
        row: Row = {
            "external_id": f"sample-c-{number:07d}",
            "headline": self._headline(career),
            "resume": self._resume(career),
            "looking_for": self._looking_for(career),
            "language": "en",
            "city": career.place.city,
            "region": career.place.region,
            "country": career.place.country,
            "remote": career.remote,
            "experience_years": career.years,
            "english_level": career.english,
        }
        if self._dice.chance(0.85):
            row |= self._expected_salary(career)
        if career.skills_stated:
            row["skills"] = career.skills
        return row

    def _expected_salary(self, career: Career) -> Row:
        fewest, most = career.level.served
        usd = yearly_usd(career.family, career.level, (career.years - fewest) / (most - fewest))
        return {
            "salary_min": local_pay(usd * self._dice.between(0.86, 1.02), career.place, career.place.period),
            "salary_currency": career.place.currency,
            "salary_period": career.place.period,
        }

    def _headline(self, career: Career) -> str:
        return self._by_years("headline", career)

    def _looking_for(self, career: Career) -> str:
        dice, phrases = self._dice, self._phrases
        wish = dice.pick(phrases["looking_for"]["remote" if career.remote else "on_site"])
        hours = dice.pick(phrases["hours"][dice.pick(career.family.employment)])
        return f"{wish} {hours}".format(
            wish=dice.pick(career.family.wishes), city=career.place.city, hours=5 * dice.whole(3, 6)
        )

    def _by_years(self, phrase: str, career: Career) -> str:
        kinds = self._phrases[phrase]
        kind = "none" if career.years == 0 else "one" if career.years == 1 else "many"
        return str(
            self._dice.pick(kinds[kind]).format(
                Title=career.title.sentence_start,
                a_title=career.title.with_article,
                a_role=career.family.a_role,
                years=career.years,
                sector=career.sector.name,
                employer=career.stations[0].employer if career.stations else "",
            )
        )

    def _resume(self, career: Career) -> str:
        # Those with less to tell about their jobs tell more about themselves.
        about = self._dice.some(career.family.about, max(1, 3 - len(career.stations)))
        summary = " ".join([self._by_years("summary", career), *about])
        parts = self._as_markdown(career) if self._dice.chance(0.5) else self._as_prose(career)
        return "\n\n".join([summary, *parts])

    def _as_prose(self, career: Career) -> list[str]:
        paragraphs = [self._job(place, station, career) for place, station in enumerate(career.stations)]
        if career.beginnings:
            kinds = ("first_steps", "first_steps_again", "first_steps_at_last")[: len(career.beginnings)]
            steps = zip(kinds, career.beginnings, strict=True)
            paragraphs.append(" ".join(self._pick("jobs", kind).format(x=step) for kind, step in steps))
        education = self._pick("education", "prose").format(
            education=self._dice.pick(career.family.education), year=career.graduated
        )
        closing = [education, self._named_skills(career)]
        if self._dice.chance(0.3):
            closing.append(self._pick("english", career.english))
        return [*paragraphs, " ".join(closing)]

    def _job(self, place: int, station: Station, career: Career) -> str:
        last = place == len(career.stations) - 1
        kind = "current" if place == 0 else "earlier" if last else "before"
        first, *more = station.achievements
        job = self._pick("jobs", kind).format(
            a_title=station.title.with_article,
            employer=station.employer,
            start=station.start,
            end=station.end,
            x=first,
        )
        return " ".join([job, *(self._pick("jobs", "again").format(x=achievement) for achievement in more)])

    def _as_markdown(self, career: Career) -> list[str]:
        parts = []
        if career.stations:
            parts.append(self._heading("experience"))
            parts += [f"{_line(station)}\n\n{_bullets(station.achievements)}" for station in career.stations]
        if career.beginnings:
            parts += [self._heading("beginnings"), _bullets(career.beginnings)]
        education = capitalized(self._dice.pick(career.family.education).split(" ", 1)[1])
        parts += [self._heading("education"), f"{education}, {career.graduated}"]
        return [*parts, self._heading("skills"), self._named_skills(career)]

    def _named_skills(self, career: Career) -> str:
        """A sentence with some skills, or with all of them if no list states them."""
        named = career.skills[: self._dice.whole(3, 5)] if career.skills_stated else career.skills
        skills = enumeration([self._in_sentence[skill] for skill in named])
        return self._pick("skills", "named").format(skills=skills)

    def _heading(self, key: str) -> str:
        return f"## {self._pick('headings', key)}"

    def _pick(self, table: str, key: str) -> str:
        phrase: str = self._dice.pick(self._phrases[table][key])
        return phrase


def _line(station: Station) -> str:
    return f"**{station.title.sentence_start}** at {station.employer}, {station.start} to {station.end or 'today'}"


def _bullets(lines: list[str]) -> str:
    return "\n".join(f"- {capitalized(line)}" for line in lines)
