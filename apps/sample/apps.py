"""Django's configuration of this app."""

from django.apps import AppConfig


class SampleConfig(AppConfig):
    """The app `sample`."""

    name = "apps.sample"
    label = "sample"
