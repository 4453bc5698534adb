"""The embed worker with an encoder that fails on marked texts.

A main module of its own, since a subprocess imports the main module of its worker and must fail alike.
"""

import os
import sys

from tests import failing_texts

failing_texts.install()

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "jobrec_site.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(["manage.py", "run_worker", "embed", *sys.argv[1:]])
