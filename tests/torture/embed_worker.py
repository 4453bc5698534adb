"""The embed worker, with an encoder that the poison in a text can hurt.

A module of its own, run as the main one: a process apart imports the main module of its worker, so it is hurt alike.
"""

import os
import sys

from tests import poison

poison.install()

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "jobrec_site.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(["manage.py", "run_worker", "embed", *sys.argv[1:]])
