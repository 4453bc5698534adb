#!/usr/bin/env python
"""Django's command line for jobrec: `python manage.py help` lists the commands."""

from jobrec_site.command_line import main

if __name__ == "__main__":
    main()
