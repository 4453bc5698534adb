"""Configuration of the app."""

from django.apps import AppConfig


class RecommendationsConfig(AppConfig):
    """Name and label of the app."""

    name = "apps.recommendations"
    label = "recommendations"
