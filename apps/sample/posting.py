"""Invented postings."""

from datetime import datetime, timedelta
from typing import Any

from apps.sample.dice import Dice
from apps.sample.job import Job, draw_job
from apps.sample.vocabulary import Vocabulary, enumeration, title_case, with_article

MINUTES_A_DAY = 24 * 60


def posting(words: Vocabulary, dice: Dice, number: int, now: datetime) -> dict[str, Any]:
    """Return one posting; a field without a value has no key."""
    job = draw_job(words, dice, span="required")
    first, second = dice.some(words.company_words, 2)
    company = dice.pick(job.sector["companies"]).format(a=first, b=second)
    row: dict[str, Any] = {
        "external_id": f"sample-p-{number:07d}",
        "title": title_case(job.title),
        "company": company,
        "description": _description(words, dice, job, company),
        **job.columns(),
        "employment_type": job.employment,
        "job_family": job.family["name"],
        **dates(dice, now),
    }
    if dice.chance(0.9):
        row["english_level"] = job.english
    if dice.chance(0.75):
        hourly = job.place["english"] and job.employment in {"part_time", "contract", "temporary"}
        period = "hour" if hourly else job.place["period"]
        row["salary_min"] = job.pay(dice.between(0.87, 1), period, span="required")
        row["salary_max"] = job.pay(dice.between(1.05, 1.2), period, span="required")
        row |= {"salary_currency": job.place["currency"], "salary_period": period}
    if dice.chance(0.85):
        row["skills"] = job.skills
    return row


def dates(dice: Dice, now: datetime) -> dict[str, str]:
    """Draw when a posting was published, when it closes, and whether it is open."""
    age = dice.whole(0, 90 * MINUTES_A_DAY)
    # Most close tomorrow or later; some were open for two weeks at most.
    days_to_tomorrow = age // MINUTES_A_DAY + 2
    open_days = dice.whole(7, 14) if dice.chance(0.1) else dice.whole(max(14, days_to_tomorrow), 120)
    published = now - timedelta(minutes=age)
    return {
        "published_at": published.isoformat(),
        "closes_at": (published + timedelta(days=open_days)).isoformat(),
        "status": "closed" if dice.chance(0.04) else "open",
    }


def _description(words: Vocabulary, dice: Dice, job: Job, company: str) -> str:
    phrases, headings = words.phrases["posting"], words.phrases["headings"]
    intro = [job.sector["intros"], job.family["team"], words.phrases["opening"][job.employment]]
    if job.remote:
        intro.append(phrases["remote"])
    required, optional = job.skills[:3], job.skills[3:]
    requirements = [
        dice.pick(job.level["experience"])
        if job.years != 1
        else "At least one year of experience as {a_role}",
        dice.pick(phrases["skills"]).format(skills=enumeration(required)),
        dice.pick(phrases["optional"]).format(skills=enumeration(optional)),
        *dice.some(job.family["requirements"], 2),
        *words.phrases["english"].get(job.english, []),
    ]
    sections = {
        "duties": [*dice.some(job.family["duties"], 4), dice.pick(job.level["duties"])],
        "requirements": requirements,
    }
    if dice.chance(0.8):
        sections["offer"] = dice.some(phrases["benefits"], dice.whole(2, 3))
    parts = [" ".join(map(dice.pick, intro))]
    for kind, lines in sections.items():
        parts.append(f"## {dice.pick(headings[kind])}\n\n" + "\n".join(f"- {line}" for line in lines))
    return "\n\n".join(parts).format(
        company=company,
        city=job.place["city"],
        region=job.place["region"],
        country=job.place["name"],
        a_title=with_article(job.title),
        a_role=with_article(job.family["role"]),
        hours=5 * dice.whole(3, 6),
        months=3 * dice.whole(1, 4),
        years=job.years,
        n=dice.whole(4, 12),
    )
