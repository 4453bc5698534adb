#!/usr/bin/env python
"""Django's command line for jobrec: `python manage.py help` lists the commands."""

import os
import sys


def main() -> None:
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
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) is not None or "--traceback" in sys.argv:
            raise  # PostgreSQL's own word about a statement
        sys.exit(
            f"PostgreSQL does not answer: {error}\n"
            "`make run` starts an embedded one and leaves it running; another one is named by DATABASE_URL (.env.example)."
        )


if __name__ == "__main__":
    main()
