"""The Celery application. The web tier imports it to send tasks by name, so it must not import torch."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "jobrec_site.settings")

app = Celery("jobrec")
app.config_from_object("workers.configuration")
