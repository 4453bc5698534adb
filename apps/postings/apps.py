"""Django's configuration of this app."""

from django.apps import AppConfig


class PostingsConfig(AppConfig):
    """The app `postings`."""

    name = "apps.postings"
    label = "postings"
