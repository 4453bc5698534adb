"""Django's configuration of the app."""

from django.apps import AppConfig


class AccessConfig(AppConfig):
    """The app of bearer tokens."""

    name = "apps.access"
    label = "access"
