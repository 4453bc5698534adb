"""The ranking in use: the file of weights that the setting names, with what the admin changes of it."""

from pathlib import Path

from django.conf import settings

from apps.recommendations.models import RankingOptions
from apps.recommendations.weights import SHIPPED, Ranking, read_ranking


def file_ranking() -> Ranking:
    """The ranking of the file that RANKING_FILE names, or the shipped one. Raises RankingFileError."""
    return read_ranking(Path(settings.RANKING_FILE) if settings.RANKING_FILE else SHIPPED)


def active_ranking() -> Ranking:
    """The ranking that queries use. Raises RankingFileError."""
    ranking = file_ranking()
    options = RankingOptions.objects.first()
    if options is None:
        return ranking
    changed = {
        "weights": ranking.weights | options.weights(),
        "company_cap": ranking.company_cap if options.company_cap is None else options.company_cap,
        "capped_places": options.capped_places,
    }
    return ranking.model_copy(update=changed)
