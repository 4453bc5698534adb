"""Django's command line for jobrec, as `python manage.py` and as the installed command `jobrec`."""

import os
import sys

MODEL_LIBRARIES = {"torch", "sentence_transformers", "transformers"}


def main() -> None:
    """Run a management command. Report wrong settings and missing parts without a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "jobrec_site.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        if "--traceback" in sys.argv:
            raise
        sys.exit(f"The settings are wrong: {error}")
    except ModuleNotFoundError as error:
        if error.name not in MODEL_LIBRARIES:
            raise
        sys.exit(f"{error.name} is not installed. This command needs a model: pip install 'jobrec[worker]'.")
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) is not None or "--traceback" in sys.argv:
            raise  # PostgreSQL's own error about a statement
        sys.exit(
            f"Cannot connect to PostgreSQL: {error}\n"
            "Start the embedded server with `make run`, or set DATABASE_URL to your own (see .env.example)."
        )
