"""Configuration of the app."""

from django.apps import AppConfig


class StatisticsConfig(AppConfig):
    """Name and label of the app."""

    name = "apps.statistics"
    label = "statistics"
