"""The Django app of embeddings."""

from django.apps import AppConfig


class EmbeddingsConfig(AppConfig):
    """Registers the system checks of the settings."""

    name = "apps.embeddings"
    label = "embeddings"

    def ready(self) -> None:
        from apps.embeddings import checks  # noqa: F401  registers them
