"""Django's configuration of this app."""

from django.apps import AppConfig


class RecordsConfig(AppConfig):
    """The app `records`."""

    name = "apps.records"
    label = "records"
