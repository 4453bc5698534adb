"""Invented candidates: résumés without names or addresses."""

from datetime import datetime
from typing import Any

from apps.sample.dice import Dice
from apps.sample.job import Job, draw_job
from apps.sample.vocabulary import Vocabulary, capitalized, enumeration, with_article


def candidate(words: Vocabulary, dice: Dice, number: int, now: datetime) -> dict[str, Any]:
    """Return one candidate; a field without a value has no key."""
    job = draw_job(words, dice, span="served")
    phrases = words.phrases["candidate"]
    employers = dice.some(job.sector["employers"], min(job.years, 2))
    fillings = {
        "Title": capitalized(job.title),
        "a_title": with_article(job.title),
        "a_role": with_article(job.family["role"]),
        "sector": job.sector["name"],
        "employer": employers[0] if employers else "",
        "years": "one year" if job.years == 1 else f"{job.years} years",
        "year": now.year - job.years,
        "city": job.place["city"],
        "wish": dice.pick(job.family["wishes"]),
        "education": dice.pick(job.family["education"]),
        "skills": enumeration(job.skills),
        "hours": 5 * dice.whole(3, 6),
    }
    headline, summary = ("headline", "summary") if job.years else ("first_headline", "first_summary")
    wish = dice.pick(phrases["remote" if job.remote else "on_site"])
    hours = dice.pick(words.phrases["hours"][job.employment])
    resume = [f"{dice.pick(phrases[summary])} {dice.pick(job.family['about'])}"]
    resume += _jobs(words, dice, job, employers, now.year)
    resume += [f"{dice.pick(phrases['education'])} {dice.pick(phrases['skills'])}"]
    row: dict[str, Any] = {
        "external_id": f"sample-c-{number:07d}",
        "headline": dice.pick(phrases[headline]).format(**fillings),
        "resume": "\n\n".join(resume).format(**fillings),
        "looking_for": f"{wish} {hours}".format(**fillings),
        **job.columns(),
        "english_level": job.english,
    }
    if dice.chance(0.85):
        row["salary_min"] = job.pay(dice.between(0.86, 1.02), job.place["period"], span="served")
        row |= {"salary_currency": job.place["currency"], "salary_period": job.place["period"]}
    if dice.chance(0.8):
        row["skills"] = job.skills
    return row


def _jobs(words: Vocabulary, dice: Dice, job: Job, employers: list[str], this_year: int) -> list[str]:
    """Describe the present and the earlier job, as sentences or as lists."""
    phrases = words.phrases["candidate"]
    achievements = [
        line.format(n=dice.whole(3, 9), pct=dice.whole(11, 44))
        for line in dice.some(job.family["achievements"], 4)
    ]
    if not employers:
        return [dice.pick(phrases["training"]).format(x=" and ".join(achievements[:2]))]
    as_lists = dice.chance(0.5)
    parts = [f"## {dice.pick(words.phrases['headings']['experience'])}"] if as_lists else []
    began, changed = this_year - job.years, this_year - (job.years + 1) // 2
    for place, employer in enumerate(employers):
        start, end = (began, changed) if place else (changed if len(employers) > 1 else began, None)
        title = dice.pick(job.family["titles"]["mid" if job.years > 5 else "junior"]) if place else job.title
        done = achievements[2 * place : 2 * place + 2]
        if as_lists:
            parts.append(f"**{capitalized(title)}** at {employer}, {start} to {end or 'today'}")
            parts.append("\n".join(f"- {capitalized(line)}" for line in done))
        else:
            sentence = dice.pick(phrases["earlier" if end else "current"])
            x, a_title = " and ".join(done), with_article(title)
            parts.append(sentence.format(x=x, a_title=a_title, employer=employer, start=start, end=end))
    return parts
