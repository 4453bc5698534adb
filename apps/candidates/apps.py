"""Django's configuration of this app."""

from django.apps import AppConfig


class CandidatesConfig(AppConfig):
    """The app `candidates`."""

    name = "apps.candidates"
    label = "candidates"
