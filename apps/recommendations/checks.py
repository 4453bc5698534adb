"""System check of the file of weights."""

from typing import Any

from django.core.checks import CheckMessage, Error, register

from apps.recommendations.active_ranking import file_ranking
from apps.recommendations.weights import RankingFileError


@register("recommendations")
def check_ranking_file(**_: Any) -> list[CheckMessage]:
    """Refuse a RANKING_FILE that cannot be used, before a search would need it."""
    try:
        file_ranking()
    except RankingFileError as error:
        return [Error(str(error), hint="Correct RANKING_FILE, or leave it empty.", id="recommendations.E001")]
    return []
