"""The Django app of the API."""

from django.apps import AppConfig


class ApiConfig(AppConfig):
    """Makes the templates and static files of the API known to Django."""

    name = "apps.api"
    label = "api"
