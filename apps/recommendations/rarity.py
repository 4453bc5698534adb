"""How rare each skill is among those of postings: ln(1 + 1 ÷ its share of them), as an inverse document
frequency.

The shares are those that PostgreSQL keeps as statistics of the column, so nothing has to be counted.
"""

from math import log

from django.db import connection

from apps.recommendations.ranking import Rarity
from apps.sql import load

MAX_COUNTED = 20_000  # skills of postings that are counted while the table has no statistics


def skill_rarity() -> Rarity:
    """The rarity of the skills that PostgreSQL's statistics know; the others are as rare as the rarest."""
    with connection.cursor() as cursor:
        cursor.execute(load(__file__, "skill_shares"), {"limit": MAX_COUNTED})
        of_skill = {skill_id: log(1 + 1 / share) for skill_id, share in cursor.fetchall()}
    return Rarity(of_skill, max(of_skill.values(), default=1.0))
