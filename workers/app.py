"""The Celery application. Light: the web tier imports it to send tasks by name, so no model is imported here."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "jobrec_site.settings")

app = Celery("jobrec")
app.config_from_object("workers.configuration")
