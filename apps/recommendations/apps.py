"""Configuration of the app."""

from django.apps import AppConfig


class RecommendationsConfig(AppConfig):
    """Registers the system check of the file of weights."""

    name = "apps.recommendations"
    label = "recommendations"

    def ready(self) -> None:
        from apps.recommendations import checks  # noqa: F401  registers it
