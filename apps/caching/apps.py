"""Django's configuration of the app."""

from django.apps import AppConfig


class CachingConfig(AppConfig):
    """The caching app: no models."""

    name = "apps.caching"
    label = "caching"
