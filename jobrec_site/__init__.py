"""The Django project: settings, URLs, the admin, and the local stack."""

from workers.app import app as celery_app

__all__ = ["celery_app"]
