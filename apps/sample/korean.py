"""Invented postings and candidates in Korean."""

from datetime import datetime
from functools import cache
from typing import Any

from apps.sample.dice import Dice
from apps.sample.posting import dates
from apps.sample.vocabulary import Table, read_words

WON = 10_000  # unit of the salaries in the word list
STEP = 1_000_000  # won: salaries are whole multiples
TOP_YEARS = 15  # of experience, from which pay grows no more


@cache
def korean_words() -> Table:
    """The word list."""
    return read_words("korean.toml")


def posting(words: Table, dice: Dice, number: int, now: datetime) -> Table:
    """Return one posting; a field without a value has no key."""
    family, level, columns, skills = _job(words, dice, "required")
    phrases, title = words["posting"], family["titles"][level]
    company = dice.pick(family["companies"]).format(a=dice.pick(words["companies"]))
    intro = [dice.pick(phrases["opening"]), dice.pick(family["intro"])]
    if columns["remote"]:
        intro.append(dice.pick(phrases["remote"]))
    sections = {
        "duties": dice.some(family["duties"], 4),
        "requirements": [
            dice.pick(words["levels"][level]["lines"]),
            dice.pick(phrases["required"]).format(skills=", ".join(skills[:3])),
            dice.pick(phrases["optional"]).format(skills=", ".join(skills[3:])),
        ],
        "offer": dice.some(phrases["benefits"], 3),
    }
    parts = [" ".join(intro)]
    for name, lines in sections.items():
        parts.append(f"## {dice.pick(phrases[name])}\n\n" + "\n".join(f"- {line}" for line in lines))
    years = columns["experience_years"]
    row = {
        "external_id": f"sample-p-{number:07d}",
        "title": title,
        "company": company,
        "description": "\n\n".join(parts).format(title=title, company=company, years=years, **columns),
        **columns,
        "employment_type": dice.pick(words["employment"]),
        "job_family": family["role"],
        "english_level": dice.pick(words["english"]),
        **dates(dice, now),
    }
    if dice.chance(0.75):
        row |= _pay(family, years, min=dice.between(0.9, 1), max=dice.between(1.05, 1.2))
    if dice.chance(0.85):
        row["skills"] = skills
    return row


def candidate(words: Table, dice: Dice, number: int, now: datetime) -> Table:
    """Return one candidate; a field without a value has no key."""
    family, level, columns, skills = _job(words, dice, "served")
    phrases, years = words["candidate"], columns["experience_years"]
    first = "" if years else "first_"
    resume = [
        dice.pick(phrases[f"{first}summary"]),
        *(dice.some(family["achievements"], 2) if years else []),
        dice.pick(phrases["skills"]),
    ]
    fillings = {
        "title": family["titles"][level] if years else f"{family['role']} 직무",
        "role": family["role"],
        "employer": dice.pick(family["employer"]),
        "years": years,
        "year": now.year - years,
        "skills": ", ".join(skills),
        "pct": dice.whole(11, 44),
        "n": dice.whole(3, 9),
        "city": columns["city"],
    }
    row = {
        "external_id": f"sample-c-{number:07d}",
        "headline": dice.pick(phrases[f"{first}headline"]).format(**fillings),
        "resume": "\n\n".join(resume).format(**fillings),
        "looking_for": dice.pick(phrases["remote" if columns["remote"] else "wish"]).format(**fillings),
        **columns,
        "english_level": dice.pick(words["english"]),
    }
    if dice.chance(0.85):
        row |= _pay(family, years, min=dice.between(0.85, 1))
    if dice.chance(0.8):
        row["skills"] = skills
    return row


def _job(words: Table, dice: Dice, span: str) -> tuple[Table, str, Table, list[str]]:
    """A family, a level, the fields that postings and candidates share, and skills."""
    family = dice.pick(words["family"])
    level = dice.pick(("junior", "mid", "mid", "senior", "lead"))
    city, region = dice.pick(words["cities"])
    columns = {
        "language": "ko",
        "city": city,
        "region": region,
        "country": "KR",
        "remote": dice.chance(family["remote"]),
        "experience_years": dice.whole(*words["levels"][level][span]),
    }
    return family, level, columns, dice.some(family["core"], 3) + dice.some(family["optional"], 2)


def _pay(family: Table, years: int, **factors: float) -> dict[str, Any]:
    """The salary a year in won, in whole steps: the usual one × a factor for each name, `min` or `max`."""
    start, end = family["salary"]
    won = WON * (start + (end - start) * min(years / TOP_YEARS, 1))
    amounts = {f"salary_{name}": round(won * factor / STEP) * STEP for name, factor in factors.items()}
    return {**amounts, "salary_currency": "KRW", "salary_period": "year"}
