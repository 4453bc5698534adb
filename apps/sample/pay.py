"""What a job pays, so that family, seniority, years and city agree."""

import math

from apps.sample.vocabulary import Family, Level, Place

HOURS_A_YEAR = 2080
PERIODS_A_YEAR = {"year": 1, "month": 12, "hour": HOURS_A_YEAR}


def pay_period(place: Place, employment: str) -> str:
    """How pay is stated there: some countries pay whatever is not a permanent full-time job by the hour."""
    return "hour" if place.hourly and employment in {"part_time", "contract", "temporary"} else place.period


def yearly_usd(family: Family, level: Level, served: float) -> float:
    """Full-time pay before the cost of living; `served` runs from 0 to 1 within the years of the level."""
    low, high = family.salary
    start, end = level.pay
    return low + (high - low) * (start + (end - start) * served)


def local_pay(usd: float, place: Place, period: str) -> float:
    """`usd` a year in the money and period of the place, rounded as people round pay."""
    amount = usd * place.usd_rate / PERIODS_A_YEAR[period]
    step = 10 ** (math.floor(math.log10(amount)) - 1) / 2
    rounded = round(amount / step) * step
    return round(rounded, 2) if period == "hour" else int(rounded)
